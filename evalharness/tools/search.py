"""The tools ``search`` and ``lookup``: pages of a local corpus, as ReAct's environment shows those of Wikipedia."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

from evalharness.data.options import CorpusOptions
from evalharness.errors import ServiceError
from evalharness.options import Options
from evalharness.tools.base import Resources, Result, Tool
from evalharness.types import ToolSchema

SIMILAR = 5
"""Titles that are named where there is no page."""
CANDIDATES = 50
"""Passages among which one with the very title is looked for."""


class Found(Protocol):
    """A passage that a corpus has."""

    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def text(self) -> str: ...


class Searchable(Protocol):
    """A corpus (`data.corpus.Corpus`)."""

    @property
    def fingerprint(self) -> str: ...

    def search(self, query: str, k: int) -> Sequence[Found]: ...


class SearchOptions(Options):
    """Options of the tool ``search``."""

    corpus: CorpusOptions
    """What is searched."""
    opens: Literal["best", "titled"] = "best"
    """best: the passage that fits best. titled: only one of that very title, in whatever case, as an encyclopedia
    does."""


class Search(Tool):
    """Opens a page of the run's corpus and shows its first five sentences.

    Where there is none, the status is ``not_found`` and the model is told titles of passages that are like it.

    Raises:
        ServiceError: the run has loaded no corpus.
    """

    schema = ToolSchema(
        name="search",
        description="Opens the page about something and shows its first sentences, or names similar pages.",
        parameters={
            "type": "object",
            "properties": {"entity": {"type": "string", "description": "What the page is about."}},
            "required": ["entity"],
            "additionalProperties": False,
        },
    )
    options = SearchOptions

    def __init__(self, options: SearchOptions, resources: Resources) -> None:
        if resources.corpus is None:
            raise ServiceError("the tool search looks pages up in a corpus, and this run has loaded none.")
        self._corpus, self._page = resources.corpus, resources.page
        self._titled = options.opens == "titled"

    async def act(self, arguments: Mapping[str, Any]) -> Result:
        entity = arguments["entity"]
        found = self._corpus.search(entity, CANDIDATES if self._titled else 1)
        wanted = entity.strip().casefold()
        page = next((each for each in found if not self._titled or each.title.casefold() == wanted), None)
        if page is None:
            titles = list(dict.fromkeys(each.title for each in found if each.title))[:SIMILAR]
            return Result(text=f"Could not find {entity}. Similar: {titles}.", status="not_found")
        titled = {"title": page.title} if page.title else {}
        return Result(text=self._page.open(page.text), details={"passage": page.id, **titled})


class Lookup(Tool):
    """Shows the next sentence of the open page that holds a keyword; the status is ``not_found`` after the last one."""

    schema = ToolSchema(
        name="lookup",
        description="Shows the next sentence of the open page that holds a keyword.",
        parameters={
            "type": "object",
            "properties": {"keyword": {"type": "string", "description": "In whatever case."}},
            "required": ["keyword"],
            "additionalProperties": False,
        },
    )
    needs: ClassVar[str | None] = "search"

    def __init__(self, options: Options, resources: Resources) -> None:
        self._page = resources.page

    async def act(self, arguments: Mapping[str, Any]) -> Result:
        sentence = self._page.next(arguments["keyword"])
        if sentence is None:
            return Result(text="No more results.\n", status="not_found")
        return Result(text=sentence)
