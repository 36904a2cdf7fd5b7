"""A leaderboard's definition, ``leaderboards/*.yaml``: which tasks are its columns, and whose runs are its rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from evalharness.errors import DataError, UsageError, nearest
from evalharness.options import Options, parse_options

AVERAGE = "average"
"""What `order.by` calls the average over the columns."""
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def _link(value: str) -> str:
    """An address of the web or of a file nearby; nothing that a browser would run."""
    if urlsplit(value).scheme not in ("", "http", "https"):
        raise ValueError("a link begins with https://, or is a path.")
    return value


Link = Annotated[str, AfterValidator(_link)]
Text = Annotated[str, Field(min_length=1)]


def _size(value: object) -> object:
    text = str(value)
    number = text[:-1] if text[-1:] in _UNITS else text
    try:
        float(number)
    except ValueError:
        raise ValueError(f"a size is a number of parameters such as 135M or 7B, not '{text}'.") from None
    return text


class Column(Options):
    """One task under one protocol, in one metric."""

    name: Text
    task: str
    """As runs name it."""
    protocol: str | None = None
    """Its name; any one unless named, the first model's then."""
    protocol_hash: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """Its beginning, 8 digits or more."""
    version: int | None = None
    """Of the task."""
    n: int | None = Field(default=None, ge=1)
    """Scored samples."""
    metric: str | None = None
    """The task's first one unless named."""
    group: str | None = None
    """The ability that it measures; `groups` says the same for several columns."""
    chance: float | None = None
    """What guessing scores."""
    best: float = 1
    """What no model can pass."""
    averaged: bool = True
    """Whether it counts in the average."""


class Price(Options):
    """Of a million tokens, in the leaderboard's currency."""

    prompt: float = Field(ge=0)
    generated: float = Field(ge=0)


class Model(Options):
    """One row."""

    name: Text
    model: str | None = None
    """The name in its runs, where that is another one."""
    fingerprint: Annotated[str, Field(min_length=8)] | None = None
    """The beginning of the fingerprint in its runs; in place of the name."""
    baselines: tuple[str, ...] | str = ()
    """Its committed baselines: files or folders beside the definition. Those of its name unless given."""
    link: Link | None = None
    samples: dict[str, Link] = Field(default_factory=dict)
    """By column, where its samples or report can be read."""
    family: str = ""
    size: Annotated[str, BeforeValidator(_size)] | None = None
    """Parameters: 135M, 7B."""
    type: Literal["base", "fine-tuned", "specialised"] | None = None
    price: Price | None = None
    notes: str = ""

    @property
    def parameters(self) -> float | None:
        if self.size is None:
            return None
        unit = _UNITS.get(self.size[-1])
        return float(self.size) if unit is None else float(self.size[:-1]) * unit

    @property
    def places(self) -> tuple[str, ...]:
        return (self.baselines,) if isinstance(self.baselines, str) else self.baselines


class Order(Options):
    """Of the rows, and what ranks are about."""

    by: str = AVERAGE
    """A column's name, or ``average``."""
    direction: Literal["best_first", "worst_first"] = "best_first"


class Trend(Options):
    """Scores over checkpoints; one of the two."""

    title: str = "Trend over checkpoints"
    file: str | None = None
    """A trend.jsonl of `evalharness check --trend` or `watch`, beside the definition."""
    family: str | None = None
    """Models of this family, ordered by the numbers in their names."""


class Leaderboard(Options):
    """The file."""

    leaderboard: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Its name, and that of its folder."""
    title: str = ""
    description: str = ""
    columns: tuple[Column, ...] = Field(min_length=1)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Columns by ability; each ability gets an average of its own."""
    normalisation: Literal["none", "chance"] = "none"
    """``chance``: 0 is guessing, 100 the best, floored at 0, as Open LLM Leaderboard v2 has it."""
    average: Literal["macro", "win_rate", "none"] = "macro"
    """Over the columns. ``win_rate``: HELM's mean win rate, which depends on the set of models."""
    order: Order = Order()
    mismatch: Literal["footnote", "refuse"] = "footnote"
    """What becomes of a run that measured something else than its column."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Below which p, adjusted over the pairs, two models are told apart."""
    filters: tuple[Literal["family", "size", "type"], ...] = ("family", "size", "type")
    """Of the page."""
    efficiency: tuple[Literal["tokens", "seconds", "memory", "cost"], ...] = ()
    currency: str = "USD"
    models: tuple[Model, ...] = Field(min_length=1)
    trend: Trend | None = None
    notes: tuple[str, ...] = ()

    @property
    def abilities(self) -> dict[str, tuple[str, ...]]:
        """Names of columns by ability, from `groups` and from the columns' own."""
        found = {name: list(members) for name, members in self.groups.items()}
        for column in self.columns:
            if column.group is not None and column.name not in found.setdefault(column.group, []):
                found[column.group].append(column.name)
        return {name: tuple(members) for name, members in found.items()}


def load_leaderboard(name: str) -> tuple[Path, Leaderboard]:
    """A shipped leaderboard by name, or a file; and where it lies.

    Raises:
        UsageError: no such leaderboard.
        DataError: the file is malformed.
    """
    from evalharness.registry import shipped
    from evalharness.tasks.files import read_yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = {file.stem: file for file in sorted(shipped("leaderboards").glob("*.yaml"))}
        if name not in known:
            raise UsageError(f"unknown leaderboard '{name}'; {nearest(name, known)} A file of your own ends in .yaml.")
        path = known[name]
    elif not path.is_file():
        raise UsageError(f"{path}: no such file.")
    values = read_yaml(path)
    # One by one, so that a fault is told with the name of its column or model, and a misspelled key with the right one.
    for key, section in (("columns", Column), ("models", Model)):
        if isinstance(values.get(key), list):
            values[key] = [parse_options(section, entry, _place(path, key, entry)) for entry in values[key]]
    found = parse_options(Leaderboard, values, str(path))
    _check(found, path)
    return path, found


def _place(path: Path, key: str, entry: Any) -> str:
    return f"{path}: {key}: {entry['name']}" if isinstance(entry, dict) and entry.get("name") else f"{path}: {key}"


def _check(board: Leaderboard, path: Path) -> None:
    """What one key alone does not tell."""
    columns = [column.name for column in board.columns]
    _once(columns, f"{path}: columns")
    _once([model.name for model in board.models], f"{path}: models")
    for ability, members in board.groups.items():
        _known(members, columns, f"{path}: groups.{ability}: no column")
    for model in board.models:
        _known(model.samples, columns, f"{path}: models: {model.name}: samples: no column")
    if board.average == "none" and board.order.by == AVERAGE:
        raise DataError(f"{path}: order.by: there is no average to order by; name a column.")
    _known([board.order.by], [*columns, AVERAGE], f"{path}: order.by: no column")
    for column in board.columns:
        if column.chance == column.best:
            raise DataError(f"{path}: columns: {column.name}: chance and best are both {column.best:g}; they differ.")
        if board.normalisation == "chance" and column.averaged and column.chance is None:
            raise DataError(
                f"{path}: columns: {column.name}: normalisation needs what guessing scores, as chance: 0.25 does; "
                "or leave the column out with averaged: false."
            )
    averaged = {column.name for column in board.columns if column.averaged}
    if board.average != "none" and not averaged:
        raise DataError(f"{path}: average: no column is averaged; say average: none.")
    if board.trend is not None:
        if (board.trend.file is None) == (board.trend.family is None):
            raise DataError(f"{path}: trend: name a file or a family; one of them.")
        if board.trend.family is not None:
            families = [model.family for model in board.models if model.family]
            _known([board.trend.family], families, f"{path}: trend.family: no model of the family")


def _once(names: list[str], where: str) -> None:
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{where}: '{repeated}' stands there twice; a name is given once.")


def _known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise DataError(f"{what} '{name}'; {nearest(name, known)}")
