"""The zoo: names of models, and for each its network, its file, where that comes from and what may be done with it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import UnknownModelError

Role = Literal["detector", "pose", "masks"]
Architecture = Literal[
    "yolox",
    "yolov3",
    "rtmdet",
    "rtmdet-ins",
    "rtmo",
    "personlab",
    "rtmpose",
    "simplebaseline",
    "hourglass",
    "fcn8-pose",
    "blazepose",
    "contour",
    "fcn8",
    "pose2seg",
    "mobilesam",
    "eiseg",
]
Format = Literal["onnx", "pth", "tflite", "darknet", "tensorflow", "paddle"]
Extra = Literal["keypoints", "masks"]

PLACED_BY_KEYPOINTS: frozenset[Architecture] = frozenset({"blazepose", "contour", "pose2seg", "eiseg"})
"""Mask networks that need to know where the limbs are; the others make do with the box."""

SEE_WHOLE_IMAGES: frozenset[Architecture] = frozenset({"fcn8", "pose2seg", "mobilesam"})
"""Mask networks that look at the whole image once, whoever is in it; the others look at one person after another."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UrlSource(_Record):
    """A file on a server, or a member of a zip there; in `member`, `*` stands for any text."""

    url: str = Field(pattern=r"^https?://")
    member: str | None = None

    def __str__(self) -> str:
        return self.url


class IndexSource(_Record):
    """A member of an archive (wheel or `.tar.gz`) on the package index.

    Attributes:
        project, version, archive: what the index calls it; `archive` is the file's name.
        sha256: of the archive.
        member: path inside the archive.
        python: for a wheel, a Python version that it accepts; pip has to be told when ours is another.
    """

    project: str
    version: str
    archive: str = Field(pattern=r"\.(whl|tar\.gz)$")
    sha256: Sha256
    member: str
    python: str | None = None

    @model_validator(mode="after")
    def _wheel_names_its_python(self) -> Self:
        if self.is_wheel and self.python is None:
            raise ValueError(f"{self.archive}: a wheel needs `python`, a version that it accepts")
        return self

    @property
    def is_wheel(self) -> bool:
        return self.archive.endswith(".whl")

    def __str__(self) -> str:
        return f"{self.archive} on the package index"


class Figure(_Record):
    """One published accuracy: what was measured, the value as a fraction, and on what (classes, data, input size)."""

    metric: str
    value: float = Field(ge=0, le=1)
    data: str


class Entry(_Record):
    """A file that can be fetched by name.

    Attributes:
        file: its name in the cache; empty for a method that needs none.
        size: bytes, None where unknown.
        sha256: of the file, None where only its first eight digits are known: `sha256_prefix`.
        unhashed: why neither is known, in a sentence; the size alone is compared then.
        licence: SPDX identifier, or a sentence.
        provenance: who made it, from what data, and what the terms of that data ask.
        sources: where to fetch it, in order of preference; empty where no address is known.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    file: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    size: int | None = Field(default=None, gt=0)
    sha256: Sha256 | None = None
    sha256_prefix: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}$")
    unhashed: str | None = None
    licence: str
    provenance: str
    sources: tuple[UrlSource | IndexSource, ...]

    @model_validator(mode="after")
    def _can_be_verified(self) -> Self:
        if bool(self.sources) > bool(self.file):
            raise ValueError(f"{self.name} has sources, and so needs `file`, its name in the cache")
        if self.sources and self.digests == 0:
            raise ValueError(f"{self.name} has sources, and so needs sha256 or sha256_prefix, or to be `unhashed`")
        if self.digests > 1:
            raise ValueError(f"{self.name} needs one of sha256, sha256_prefix and unhashed, not several")
        return self

    @property
    def digests(self) -> int:
        """In how many ways its bytes are told from others'."""
        return sum((self.sha256 is not None, self.sha256_prefix is not None, self.unhashed is not None))

    @property
    def digest(self) -> str:
        """What the file's sha256 has to begin with; empty where none is known."""
        return self.sha256 or self.sha256_prefix or ""

    @property
    def published(self) -> bool:
        """Whether its file can be fetched from somewhere."""
        return bool(self.sources)

    @property
    def on_index(self) -> bool:
        """Whether the package index has it, so that the official server is not needed."""
        return any(isinstance(source, IndexSource) for source in self.sources)


class ModelEntry(Entry):
    """A model: a file of weights, and which network of ours reads it.

    Attributes:
        default: whether the default configuration uses it.
        gives: what a detector finds together with the boxes.
        arguments: of the network, such as {"scale": "tiny", "classes": 80}.
        format: of the file; None for a method that has no weights.
        accuracy: what its authors published.
    """

    default: bool = False
    role: Role
    gives: tuple[Extra, ...] = ()
    architecture: Architecture
    arguments: dict[str, str | int]
    format: Format | None
    accuracy: tuple[Figure, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.format is None) != (not self.file):
            raise ValueError(f"{self.name} needs both `file` and `format`, or for a method without weights neither")
        if self.gives and self.role != "detector":
            raise ValueError(f"{self.name}: only a detector `gives` something together with its boxes")
        return self

    @property
    def needs_weights(self) -> bool:
        """Whether there is a network behind it that somebody had to train."""
        return self.format is not None


AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Zoo(_Record):
    """All models, and the assets (videos, trunks to train from) that come the same way."""

    models: tuple[ModelEntry, ...]
    assets: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [entry.name for entry in self.entries]
        if doubles := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names given twice: {', '.join(sorted(doubles))}")
        return self

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Models and assets."""
        return (*self.models, *self.assets)

    @property
    def defaults(self) -> tuple[ModelEntry, ...]:
        """The models of the default configuration."""
        return tuple(model for model in self.models if model.default)

    def lacks_keypoints(self, detector: str, pose: str | None, masks: str | None) -> bool:
        """Whether these masks are placed by keypoints, and neither of the other two finds any.

        Raises:
            UnknownModelError: one of them is not in the zoo.
        """
        if masks is None or self.entry(masks, "masks").architecture not in PLACED_BY_KEYPOINTS:
            return False
        return pose is None and "keypoints" not in self.entry(detector, "detector").gives

    def entry(self, name: str, role: Role | None = None) -> ModelEntry:
        """The model called `name`, where given one of this role.

        Raises:
            UnknownModelError: there is none; says what comes close.
        """
        return _named([model for model in self.models if role in (None, model.role)], name, role or "model")

    def find(self, name: str) -> Entry:
        """The model or asset called `name`.

        Raises:
            UnknownModelError: there is none; says what comes close.
        """
        return _named(self.entries, name, "entry")


def load_zoo(path: Path | None = None) -> Zoo:
    """The zoo in the YAML file at `path`, by default the one that comes with the package.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a valid zoo (pydantic's ValidationError names the entry).
        yaml.YAMLError: the file is not YAML.
    """
    text = (path or files("models") / "zoo.yaml").read_text(encoding="utf-8")
    return Zoo.model_validate(yaml.safe_load(text))


def _named(entries: Sequence[AnyEntry], name: str, kind: str) -> AnyEntry:
    names = [entry.name for entry in entries]
    if name in names:
        return entries[names.index(name)]
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "'peoplestream models list' shows what there is"
    raise UnknownModelError(f"the zoo has no {kind} called {name!r}; {hint}")
