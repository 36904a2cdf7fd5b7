"""What each address shows. The whole state of a page is in its address, so that any page can be linked to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from evalharness.errors import DataError, EvalHarnessError, UsageError, nearest
from evalharness.pages.shell import asset
from evalharness.records.encode import FLAGS
from evalharness.viewer.diff import CHANGES, RunDiff, outcome_changes, run_diff
from evalharness.viewer.index import Index
from evalharness.viewer.library import Kept, Known, Library
from evalharness.viewer.query import PAGE, Query, metric_of, query_of, rows_of
from evalharness.viewer.templates import ASSETS, templates, url

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Parameters = Mapping[str, list[str]]

SHARED = ("style.css", "code.css", "sort.js")
OWN = ("view.css", "theme.js", "view.js")
KINDS = {".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    kind: str
    text: str
    location: str | None = None


class Viewer:
    """The pages of a folder's runs."""

    def __init__(self, root: Path) -> None:
        self._library = Library(root)
        self._found = Kept()
        self._diffs = Kept(most=4)
        self._templates = templates()
        self._pages: dict[str, Callable[[Parameters], Answer]] = {
            "/": self._runs,
            "/run": self._run,
            "/sample": self._sample,
            "/diff": self._diff,
            "/diff/sample": self._diff_sample,
        }

    def answer(self, target: str) -> Answer:
        """The response to a GET of an address. What is wrong with it is said in a page."""
        address = urlsplit(target)
        name = address.path.removeprefix("/assets/")
        if name in SHARED + OWN:
            text = asset(name) if name in SHARED else (ASSETS / name).read_text(encoding="utf-8")
            return Answer(200, KINDS[Path(name).suffix], text)
        if address.path == "/favicon.ico":
            return Answer(204, "image/x-icon", "")
        page = self._pages.get(address.path)
        try:
            if page is None:
                raise UsageError(f"{address.path}: no such page; the list of runs is at /.")
            return page(_parameters(address.query))
        except UsageError as error:
            return self._error(404, error)
        except EvalHarnessError as error:
            return self._error(500, error)

    # ------------------------------------------------------------------ pages

    def _runs(self, parameters: Parameters) -> Answer:
        if self._library.single and "list" not in parameters:
            return Answer(302, "text/html", "", location=url("/run", run=self._library.single))
        known, problems = self._library.runs()
        return self._page("runs.html", known=known, problems=problems, root=self._library.root)

    def _run(self, parameters: Parameters) -> Answer:
        known, query = self._library.known(_one(parameters, "run")), query_of(parameters)
        journal = self._library.journal(known)
        index = journal.index() if query.needs_all else journal.at_once(PAGE)
        rows = self._rows(known, index, query)
        pages = max(1, -(-len(rows) // PAGE))
        shown = rows[(query.page - 1) * PAGE : query.page * PAGE].tolist()
        metric = metric_of(index, query)
        return self._page(
            "run.html",
            known=known,
            query=query,
            index=index,
            metric=metric,
            judged=metric is None or known.judges(metric),
            total=len(rows),
            pages=pages,
            first=(query.page - 1) * PAGE,
            lines=list(zip(shown, index.lines(shown), strict=True)),
            others=[other for other in self._library.runs()[0] if _pairs(known, other)],
            flags=FLAGS,
            labels=_labels(known, index),
        )

    def _sample(self, parameters: Parameters) -> Answer:
        known, query, id = self._library.known(_one(parameters, "run")), query_of(parameters), _one(parameters, "id")
        index = self._library.journal(known).index()
        line = _line(index, id)
        rows = self._rows(known, index, query)
        places = (rows == index.row_of[id]).nonzero()[0].tolist()
        before, after = _beside(places, rows.tolist())
        return self._page(
            "sample.html",
            known=known,
            query=query.turned_to(places[0] // PAGE + 1 if places else 1),
            id=id,
            line=line,
            place=places[0] + 1 if places else None,
            total=len(rows),
            previous=None if before is None else index.ids[before],
            next=None if after is None else index.ids[after],
        )

    def _diff(self, parameters: Parameters) -> Answer:
        first, second = (self._library.known(_one(parameters, key)) for key in ("run", "with"))
        change, page = _change(parameters), query_of(parameters).page
        try:
            found = self._compared(first, second, parameters)
        except EvalHarnessError as error:
            return self._page("diff.html", first=first, second=second, refused=str(error), found=None)
        shown = found.ids[change][(page - 1) * PAGE : page * PAGE]
        return self._page(
            "diff.html",
            first=first,
            second=second,
            refused=None,
            found=found,
            change=change,
            page=page,
            pages=max(1, -(-len(found.ids[change]) // PAGE)),
            rows=list(zip(shown, self._lines_of(first, shown), self._lines_of(second, shown), strict=True)),
            outcomes=outcome_changes(*(self._library.journal(known).index() for known in (first, second))),
        )

    def _diff_sample(self, parameters: Parameters) -> Answer:
        first, second = (self._library.known(_one(parameters, key)) for key in ("run", "with"))
        change, id = _change(parameters), _one(parameters, "id")
        found = self._compared(first, second, parameters)
        ids = list(found.ids[change])
        places = [ids.index(id)] if id in ids else []
        before, after = _beside(places, ids)
        (old,), (new,) = self._lines_of(first, [id]), self._lines_of(second, [id])
        if old is None and new is None:
            raise UsageError(f"id={id}: neither run has a sample of this id that can be read.")
        return self._page(
            "diff_sample.html",
            first=first,
            second=second,
            found=found,
            change=change,
            id=id,
            old=old,
            new=new,
            place=places[0] + 1 if places else None,
            page=places[0] // PAGE + 1 if places else 1,
            total=len(ids),
            previous=before,
            next=after,
        )

    # ------------------------------------------------------------------ parts

    def _rows(self, known: Known, index: Index, query: Query) -> NDArray[np.int64]:
        """Kept for the next page of the same query, as long as the journal does not grow."""
        metric = metric_of(index, query)
        if query.outcome != "any" and metric is not None and not known.judges(metric):
            raise UsageError(f"outcome={query.outcome}: {metric} knows no right and wrong; give a range of scores.")
        key = (known.key, id(index), len(index), query.turned_to(1))
        return self._found.get(key, lambda: (index, rows_of(index, query)))[1]

    def _compared(self, first: Known, second: Known, parameters: Parameters) -> RunDiff:
        one, two, metric = self._library.scores(first), self._library.scores(second), parameters.get("metric", [""])[-1]
        # The scores stay in what is kept, so their ids are not given to others.
        return self._diffs.get((id(one), id(two), metric), lambda: run_diff(one, two, metric or None))

    def _lines_of(self, known: Known, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """The whole lines of samples; None where the run does not have one, or it is damaged."""
        index = self._library.journal(known).index()
        rows = [index.row_of[id] for id in ids if id in index.row_of]
        lines = dict(zip(rows, index.lines(rows), strict=True))
        return [lines.get(index.row_of.get(id, -1)) for id in ids]

    def _page(self, template: str, **values: Any) -> Answer:
        return Answer(200, "text/html", self._templates.get_template(template).render(**values))

    def _error(self, status: int, error: Exception) -> Answer:
        return Answer(status, "text/html", self._templates.get_template("error.html").render(sentence=str(error)))


def _parameters(query: str) -> Parameters:
    try:
        return parse_qs(query, keep_blank_values=True, errors="surrogatepass", max_num_fields=100)
    except ValueError:
        raise UsageError("this address is not well-formed; go on from the list of runs.") from None


def _one(parameters: Parameters, key: str) -> str:
    if not parameters.get(key):
        raise UsageError(f"{key}=: this address lacks it; go on from the list of runs.")
    return parameters[key][-1]


def _change(parameters: Parameters) -> str:
    change = parameters.get("change", ["broken"])[-1]
    if change not in CHANGES:
        raise UsageError(f"change={change}: {nearest(change, CHANGES)}")
    return change


def _line(index: Index, id: str) -> dict[str, Any]:
    if id not in index.row_of:
        raise UsageError(f"id={id}: the run has no sample of this id, or its line is damaged.")
    (line,) = index.lines([index.row_of[id]])
    if line is None:
        raise DataError(f"{index.path}: the line of the sample '{id}' is damaged, so it cannot be shown.")
    return line


def _beside(places: list[int], values: list[Any]) -> tuple[Any, Any]:
    """What stands before and after the first of the places."""
    if not places:
        return None, None
    at = places[0]
    return values[at - 1] if at else None, values[at + 1] if at + 1 < len(values) else None


def _labels(known: Known, index: Index) -> list[str]:
    """The labels of the run's verdicts, those too that are further down than the journal is read by now."""
    found = dict.fromkeys(index.label_names)
    if known.results is not None and not index.complete:
        found |= dict.fromkeys(label for labels in known.results.verdicts.values() for label in labels)
    return sorted(found)


def _pairs(known: Known, other: Known) -> bool:
    return other.key != known.key and other.record.task == known.record.task
