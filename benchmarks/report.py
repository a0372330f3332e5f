"""The tables and plots of `docs/performance.md`, from the JSON that `benchmarks.run` wrote.

Usage: python -m benchmarks.report [--results FOLDER] [--machine NAME] [--page FILE] [--to FILE]

A table stands between `<!-- bench:NAME -->` and `<!-- end -->`, and belongs to NAME.json in FOLDER/<machine>. The
machine is this one unless another is named. A table whose JSON is not there stays as it is; nothing else is touched.
The plots go to `plots/` beside the page that is written.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping

from rich.console import Console

from benchmarks import plots
from benchmarks.arguments import existing_file, existing_folder, explained, writable_file
from benchmarks.measure import ROOT, slug
from benchmarks.tables import TABLES, Figures
from models.machine import machine

PAGE = ROOT / "docs" / "performance.md"
PLACE = re.compile(r"(<!-- bench:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def caption(measured: Figures) -> str:
    """Where a table comes from."""
    facts = measured["machine"]
    trial = " (a trial: the figures say little)" if measured["quick"] else ""
    return f"{facts['processor']}, {facts['cores']} cores, {measured['measured']}: `{measured['command']}`{trial}"


def fill(page: str, results: Mapping[str, Figures], plotted: Mapping[str, str]) -> str:
    """The page with the tables of `results` in their places.

    Args:
        results: content of the JSON files by name. plotted: address of a plot by name, as the page shall give it.

    Raises:
        ValueError: the page has a place for a table that nobody makes.
    """

    def filled(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in TABLES:
            raise ValueError(f"nothing makes the table {name}; there are {', '.join(TABLES)}")
        if name not in results:
            return match[0]
        measured = results[name]
        picture = f"\n\n![{name.replace('_', ' ')}]({plotted[name]})" if name in plotted else ""
        return f"{begin}\n{TABLES[name](measured['figures'])}{picture}\n\n{caption(measured)}\n\n{end}"

    return PLACE.sub(filled, page)


@explained
def main() -> None:
    """Read, plot, fill in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=existing_folder, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--machine", default=slug(machine()), help="folder in there")
    parser.add_argument("--page", type=existing_file, default=PAGE, help="with the places of the tables")
    parser.add_argument("--to", type=writable_file, help="where to write it instead")
    options = parser.parse_args()
    files = sorted((options.results / options.machine).glob("*.json"))
    if not files:
        raise SystemExit(f"{options.results / options.machine} holds no figures: run python -m benchmarks.run first")
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files if file.stem in TABLES}
    target = options.to or options.page
    folder = target.parent / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    plotted = {}
    for name in plots.PLOTS.keys() & results.keys():
        plots.draw(name, results[name]["figures"], folder / f"{name}.svg")
        plotted[name] = f"plots/{name}.svg"
    try:
        page = fill(options.page.read_text(encoding="utf-8"), results, plotted)
    except ValueError as error:
        parser.error(f"{options.page}: {error}")
    target.write_text(page, encoding="utf-8")
    Console(stderr=True).print(f"{target} has the tables {', '.join(results)}", highlight=False)


if __name__ == "__main__":
    main()
