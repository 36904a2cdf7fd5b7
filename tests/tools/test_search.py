"""Search and lookup over a local corpus: the strings of ReAct's environment, by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from evalharness.data.corpus import Corpus
from evalharness.data.passages import Passage
from evalharness.errors import ServiceError
from evalharness.tools.base import Resources, Toolbox, build_tools
from evalharness.types import ToolUse

FERRY = """\
A ferry is a ship. It carries people. It carries cars too. Some are old. Some are new. None flies.
The first ferry was a raft"""
TITLED = Corpus(
    [
        Passage("Ferry", FERRY),
        Passage("Ferry (film)", "Ferry is a film of 1950."),
        Passage("Cable ferry", "A cable ferry is pulled by a cable."),
        Passage("Copper", "Copper is a metal."),
    ]
)
UNTITLED = Corpus([Passage("", passage.text) for passage in TITLED.passages])


def used(corpus: Corpus | None, calls: Sequence[tuple[str, str]], opens: str = "best") -> list[ToolUse]:
    async def episode() -> list[ToolUse]:
        listed = [{"tool": "search", "corpus": {"named": "wikipedia_pieces"}, "opens": opens}, "lookup"]
        async with Toolbox(build_tools(listed, Resources(corpus=corpus), "here")) as box:
            return [await box.use(name, {"entity" if name == "search" else "keyword": text}) for name, text in calls]

    return asyncio.run(episode())


def test_the_first_five_sentences_of_the_best_page() -> None:
    (use,) = used(UNTITLED, [("search", "ship that carries people")])
    assert use.result == "A ferry is a ship. It carries people. It carries cars too. Some are old. Some are new."
    assert (use.status, set(use.details)) == ("ok", {"passage"})


def test_lookup_goes_through_the_sentences_and_ends() -> None:
    calls = [
        ("search", "ship that carries people"),
        *[("lookup", "FERRY")] * 3,
        ("lookup", "carries"),
        ("lookup", "FERRY"),
    ]
    assert [use.result for use in used(UNTITLED, calls)][1:] == [
        "(Result 1 / 2) A ferry is a ship.",
        "(Result 2 / 2) The first ferry was a raft.",
        "No more results.\n",
        "(Result 1 / 2) It carries people.",
        "(Result 1 / 2) A ferry is a ship.",
    ]


def test_a_full_stop_at_the_end_of_a_line_is_doubled_as_there() -> None:
    uses = used(UNTITLED, [("search", "ship that carries people"), ("lookup", "flies"), ("search", "metal")])
    assert [use.result for use in uses[1:]] == ["(Result 1 / 1) None flies..", "Copper is a metal.."]


def test_a_new_page_is_looked_through_from_its_beginning() -> None:
    calls = [("search", "raft"), ("lookup", "ferry"), ("search", "cable"), ("lookup", "ferry")]
    assert used(UNTITLED, calls)[-1].result == "(Result 1 / 1) A cable ferry is pulled by a cable.."


def test_a_page_of_that_very_title_or_titles_that_are_like_it() -> None:
    found, similar = used(TITLED, [("search", " ferry (FILM) "), ("search", "old ferry")], opens="titled")
    assert (found.result, found.details["title"]) == ("Ferry is a film of 1950..", "Ferry (film)")
    assert similar.result == "Could not find old ferry. Similar: ['Ferry', 'Ferry (film)', 'Cable ferry']."
    assert similar.status == "not_found"


def test_a_page_that_could_not_be_found_leaves_the_open_one_open() -> None:
    calls = [("search", "raft"), ("search", "zeppelin"), ("lookup", "raft")]
    assert [use.result for use in used(UNTITLED, calls)][1:] == [
        "Could not find zeppelin. Similar: [].",
        "(Result 1 / 1) The first ferry was a raft.",
    ]


@pytest.mark.parametrize("entity", ["", "   ", "the of and", "[]", "\x00"])
def test_words_that_say_nothing(entity: str) -> None:
    (use,) = used(UNTITLED, [("search", entity)])
    assert use.result == f"Could not find {entity}. Similar: []."


def test_two_episodes_have_pages_of_their_own() -> None:
    used(UNTITLED, [("search", "raft")])
    assert used(UNTITLED, [("lookup", "raft")])[0].result == "No more results.\n"


def test_no_corpus() -> None:
    with pytest.raises(ServiceError, match="this run has loaded none"):
        used(None, [])
