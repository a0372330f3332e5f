"""docs/models.md against the zoo, and the pages of the families against it."""

from pathlib import Path

from models.zoo import load_zoo

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_a_model_of_the_zoo_that_the_table_leaves_out() -> None:
    table = PAGE.read_text().partition("<!-- table of")[2].partition("<!-- end of the table -->")[0]
    missing = [entry.name for entry in load_zoo().models if f"| `{entry.name}`" not in table]

    assert not missing, f"{missing}: run python -m benchmarks.zoo_table --write"


def test_the_page_of_a_family_that_nothing_leads_to() -> None:
    text = PAGE.read_text()
    lost = [page.name for page in PAGE.with_suffix("").glob("*.md") if f"](models/{page.name})" not in text]

    assert not lost
