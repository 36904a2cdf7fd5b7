"""What pages say: lists, samples and differences, with hostile texts and damaged files among them."""

from __future__ import annotations

import math
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evidence_for_tests import BIDI, PROGRAM, TERMINAL, calls_answer, calls_target, judged, tool_use, verdict
from viewer.made import line, run_of

from evalharness.pages.controls import visible
from evalharness.records.strict_json import one_line
from evalharness.viewer.routes import Viewer
from evalharness.viewer.templates import url

HOSTILE = "</script></pre><img src=x onerror=alert(1)><script>alert(2)</script>\"'&amp;"


class Tags(HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def page(viewer: Viewer, path: str, status: int = 200, **parameters: object) -> str:
    found = viewer.answer(url(path, **parameters))
    assert found.status == status, found.text
    return found.text


def words(text: str) -> str:
    """What a reader sees."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def ids_in(text: str) -> list[str]:
    return [unescape(id) for id in re.findall(r'<a class="row"[^>]*>(.*?)</a>', text)]


def test_the_list_tells_each_run_and_each_that_cannot_be_read(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a"), line("b", 0.0)], model="model-a")
    run_of(tmp_path / "deep" / "two", [line("a")], model="model-b", state="interrupted")
    broken = run_of(tmp_path / "broken", [line("a")])
    (broken.path / "run.json").write_text("{")
    said = words(page(Viewer(tmp_path), "/"))
    assert "2 runs" in said
    assert "acc 0.5" in said
    assert "interrupted" in said
    assert "run.json: not valid JSON" in said


def test_a_folder_of_one_run_leads_to_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "one", [line("a")])
    found = Viewer(run.path).answer("/")
    assert (found.status, found.location) == (302, "/run?run=.")
    assert ids_in(page(Viewer(run.path), "/run", run=".")) == ["a"]
    assert "1 run in" in page(Viewer(run.path), "/", list="1")


def test_fifty_samples_are_a_page(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line(str(number)) for number in range(120)])
    viewer = Viewer(tmp_path)
    assert ids_in(page(viewer, "/run", run="one", page=2)) == [str(number) for number in range(50, 100)]
    third = page(viewer, "/run", run="one", page=3)
    assert len(ids_in(third)) == 20
    assert 'rel="next"' not in third
    assert "page 9 of 3" in page(viewer, "/run", run="one", page=9)


def test_a_sample_leads_to_its_neighbours_among_those_that_fit(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line(id, float(id in "ace")) for id in "abcde"])
    said = page(Viewer(tmp_path), "/sample", run="one", id="c", outcome="right", sort="-id")
    assert "2 of 3" in said
    assert re.search(r'rel="prev"[^>]*id=e', said)
    assert re.search(r'rel="next"[^>]*id=a', said)
    outside = page(Viewer(tmp_path), "/sample", run="one", id="b", outcome="right")
    assert "not among those that fit" in outside


def test_a_sample_is_shown_step_by_step_with_its_answer_marked(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a", said="So it is 7.", span=(9, 10))])
    said = page(Viewer(tmp_path), "/sample", run="one", id="a")
    assert "So it is <mark>7</mark>." in said
    for fact in ("max_tokens 8", "ended by stop", "5 tokens", "What is next?", "Answer read: 7"):
        assert fact in words(said)


def test_choices_are_shown_with_their_likelihoods(tmp_path: Path) -> None:
    from runs_for_tests import write_run

    write_run(tmp_path / "one", [1.0])
    said = words(page(Viewer(tmp_path), "/sample", run="one", id="0"))
    assert "no -1.0000 -0.3333 yes right likeliest" in said
    assert "yes -2.0000 1 no -2" in said


def test_a_score_that_is_no_number_is_shown_as_such(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a", math.nan), line("b", None)])
    said = words(page(Viewer(tmp_path), "/run", run="one"))
    assert "a NaN" in said
    assert "b failed errored" in said
    assert "acc NaN" in words(page(Viewer(tmp_path), "/sample", run="one", id="a"))


def test_damaged_lines_are_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = run_of(tmp_path / "one", [line("a"), line("b")])
    good = run.journal.read_bytes().splitlines(keepends=True)
    behind = one_line(line("c")).replace(b'"calls":[', b'"calls":]')
    run.journal.write_bytes(good[0] + b"{broken\n" + behind + good[1] + b'{"task":')
    viewer = Viewer(tmp_path)
    said = page(viewer, "/run", run="one")
    assert ids_in(said) == ["a", "c", "b"]
    assert "1 damaged line is left out: line 2 of" in words(said)
    assert "This line is damaged" in said
    assert "The last line is not whole" in said
    assert "is damaged, so it cannot be shown" in words(page(viewer, "/sample", 500, run="one", id="c"))


@pytest.mark.parametrize(
    "part",
    [
        {"repeats": None},
        {"repeats": [{"calls": 3}]},
        {"choices": 7},
        {"flags": ["late"]},
        {"repeats": [{"scores": {}, "calls": [], "verdicts": 3}]},
    ],
)
def test_json_that_is_no_sample_is_told_as_damaged(tmp_path: Path, part: dict[str, Any]) -> None:
    run_of(tmp_path / "one", [line("a"), {**line("b"), **part}])
    viewer = Viewer(tmp_path)
    assert "This line is damaged" in page(viewer, "/run", run="one")
    assert "so it cannot be shown" in words(page(viewer, "/sample", 500, run="one", id="b"))
    assert "a" in ids_in(page(viewer, "/run", run="one", text="next"))


def test_a_running_run_shows_what_is_there(tmp_path: Path) -> None:
    run = run_of(tmp_path / "one", [line("a")], state="running", asked=10)
    (run.path / "results.json").unlink()
    viewer = Viewer(tmp_path)
    assert "1 sample; the run was to have 10" in words(page(viewer, "/run", run="one"))
    with run.journal.open("ab") as file:
        file.write(one_line(line("b")))
    assert ids_in(page(viewer, "/run", run="one")) == ["a", "b"]


@pytest.mark.parametrize("path", ["/run", "/sample", "/diff", "/diff/sample"])
def test_hostile_texts_are_texts(tmp_path: Path, path: str) -> None:
    for name, said in (("one", HOSTILE), ("two", f"{HOSTILE} more")):
        made = line(HOSTILE, prompt=HOSTILE, said=said, answer=HOSTILE, subset=HOSTILE, target=HOSTILE, span=(3, 9))
        run_of(tmp_path / name, [made], model=HOSTILE, task=HOSTILE)
    said = page(Viewer(tmp_path), path, run="one", **{"with": "two"}, id=HOSTILE, change="unchanged", text="onerror")
    tags = Tags(said)
    assert "img" not in tags.seen
    assert not any(name.startswith("on") for name in tags.attributes)
    assert said.count("<script") == 3
    assert HOSTILE in unescape(said)


EVERYTHING = "".join([HOSTILE, TERMINAL, BIDI])


@pytest.mark.parametrize("path", ["/run", "/sample", "/diff", "/diff/sample"])
def test_hostile_programs_are_texts(tmp_path: Path, path: str) -> None:
    use = tool_use(EVERYTHING, EVERYTHING, EVERYTHING, **{EVERYTHING: EVERYTHING, "more": [EVERYTHING]})
    judgement = verdict(EVERYTHING, program=EVERYTHING, level=EVERYTHING, stdout=EVERYTHING, more=EVERYTHING)
    judgement |= {"judge": EVERYTHING, "explanation": EVERYTHING}
    target = calls_target({EVERYTHING: {EVERYTHING: [EVERYTHING, 1]}})
    answer = calls_answer(**{EVERYTHING: {EVERYTHING: EVERYTHING, "more": EVERYTHING}})
    for name, said in (("one", EVERYTHING), ("two", f"{EVERYTHING} more")):
        made = line("a", 0.0, said=said, prompt=EVERYTHING, target=target, answer=answer)
        run_of(tmp_path / name, [judged(made, [judgement], [use], {EVERYTHING: EVERYTHING})])
    said = page(Viewer(tmp_path), path, run="one", **{"with": "two"}, id="a", change="unchanged")
    tags = Tags(said)
    assert "img" not in tags.seen
    assert not any(name.startswith("on") for name in tags.attributes)
    assert said.count("<script") == 3
    assert path == "/run" or visible(BIDI) in re.sub(r"<[^>]+>", "", unescape(said))
    # What a form sends back is the label as it is.
    shown = re.sub(r'name="verdict" value="[^"]*"', "", said)
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(shown)


def test_a_verdict_is_shown_with_its_program_in_colours(tmp_path: Path) -> None:
    made = [
        judged(line("a"), [verdict("timeout", in_box=True, stdout="so far", stderr="Traceback", tests=3)]),
        judged(line("b"), [verdict("pass", candidate=place) for place in range(4)]),
    ]
    run_of(tmp_path / "one", made)
    viewer = Viewer(tmp_path)
    said = page(viewer, "/sample", run="one", id="a")
    assert '<span class="badge timeout">timeout</span>' in said
    assert '<span class="keyword">def</span> <span class="name">add</span>(first, second):' in said
    assert "timeout execution in box (bwrap, 0.031 s) it ran longer than 3 s Program def add" in words(said)
    for told in ("Output so far", "Error output Traceback", 'Further details { "tests" : 3 }'):
        assert told in words(said)
    assert '<details class="evidence timeout" open>' in said
    assert "verdicts pass 4 answer" in words(page(viewer, "/sample", run="one", id="b"))
    assert "open>" not in page(viewer, "/sample", run="one", id="b")


def test_uses_of_tools_are_shown_in_order(tmp_path: Path) -> None:
    uses = [tool_use(), tool_use("calculator", "3 + is no expression", "invalid", expression="3 +")]
    run_of(tmp_path / "one", [judged(line("a"), tool_uses=uses)])
    said = words(page(Viewer(tmp_path), "/sample", run="one", id="a"))
    assert "ok python, use 1 of 2 Program print ( 6 * 3 ) Result 18" in said
    assert 'invalid calculator, use 2 of 2 Arguments { "expression" : "3 +" } Result 3 + is no expression' in said


def test_calls_are_shown_beside_the_expected_ones(tmp_path: Path) -> None:
    target = calls_target({"forecast": {"city": ["Lisbon"], "days": [3]}})
    answer = calls_answer(forecast={"city": "Porto", "days": 3})
    why = {"acc": 'wrong_value: call 1, argument \'city\': "Porto" is none of "Lisbon"'}
    run_of(tmp_path / "one", [judged(line("a", 0.0, target=target, answer=answer), explanations=why)])
    said = page(Viewer(tmp_path), "/sample", run="one", id="a")
    assert f"Function calls acc: {why['acc']} forecast" in words(said)
    assert 'city "Porto" "Lisbon" not accepted days 3 3' in words(said)
    assert "<mark><code>&#34;Porto&#34;</code></mark>" in said
    assert said.count("<mark>") == 1
    assert 'target forecast(city="Lisbon", days=3) position' in words(said)
    assert 'forecast(city="Porto", days=3)' in words(page(Viewer(tmp_path), "/run", run="one"))


def test_samples_are_narrowed_by_verdict(tmp_path: Path) -> None:
    labels = {"a": "pass", "b": "timeout", "c": "memory", "d": "fail"}
    run_of(tmp_path / "one", [judged(line(id), [verdict(label)]) for id, label in labels.items()])
    run_of(tmp_path / "plain", [line("a")])
    viewer = Viewer(tmp_path)
    found = page(viewer, "/run", run="one", verdict=["timeout", "memory"])
    assert ids_in(found) == ["b", "c"]
    assert re.findall(r'name="verdict" value="(\w+)"( checked)?', found) == [
        ("fail", ""), ("memory", " checked"), ("pass", ""), ("timeout", " checked"),
    ]  # fmt: skip
    assert "2 of 2" in page(viewer, "/sample", run="one", id="c", verdict=["timeout", "memory"])
    assert "verdict" not in page(viewer, "/run", run="plain")


def test_verdicts_further_down_can_be_asked_for_at_once(tmp_path: Path) -> None:
    made = [judged(line(str(place)), [verdict("pass" if place < 60 else "memory")]) for place in range(70)]
    run = run_of(tmp_path / "one", made)
    results = run.results
    assert results is not None
    run.write(results.model_copy(update={"verdicts": {"execution": {"pass": 60, "memory": 10}}}))
    assert 'name="verdict" value="memory"' in page(Viewer(tmp_path), "/run", run="one")


def test_a_long_program_is_cut_with_a_note(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [judged(line("a"), [verdict(program="x = 1\n" * 170_000, stdout="y" * 1_000_000)])])
    said = page(Viewer(tmp_path), "/sample", run="one", id="a")
    assert "1,000,000 characters are left out here" in said
    assert "980,000 characters are left out here" in said
    assert len(said) < 400_000


def test_an_answer_of_several_lines_is_a_program(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [judged(line("a", answer=PROGRAM), [verdict()])])
    viewer = Viewer(tmp_path)
    said = page(viewer, "/sample", run="one", id="a")
    assert "answer def add(first, second): … (4 lines) target" in words(said)
    assert re.search(r'<h5>Answer read</h5>\s*<pre class="code"><span class="keyword">def</span>', said)
    assert "(4 lines)" in page(viewer, "/run", run="one")


def test_outcomes_of_two_runs_are_beside_each_other(tmp_path: Path) -> None:
    for name, score, label in (("one", 0.0, "timeout"), ("two", 1.0, "pass")):
        run_of(tmp_path / name, [judged(line(id, score), [verdict(label)]) for id in "abc"])
    viewer = Viewer(tmp_path)
    said = words(page(viewer, "/diff", run="one", change="fixed", **{"with": "two"}))
    assert "Changed outcomes (first verdicts) first second samples timeout pass 3" in said
    said = words(page(viewer, "/diff/sample", run="one", change="fixed", id="a", **{"with": "two"}))
    assert re.search(r"First: model-a .* timeout execution .* Second: model-a .* pass execution", said)


def test_a_difference_is_told_with_its_interval_and_its_samples(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line(id, float(id in "ab")) for id in "abcd"], model="model-a")
    run_of(tmp_path / "two", [line(id, float(id in "bcd")) for id in "abcd"], model="model-b")
    viewer = Viewer(tmp_path)
    said = page(viewer, "/diff", run="one", change="fixed", **{"with": "two"})
    assert "+25.0 points [" in words(said)
    assert "McNemar" in said
    assert ids_in(said) == ["c", "d"]
    broken = page(viewer, "/diff", run="one", **{"with": "two"})
    assert ids_in(broken) == ["a"]


def test_words_that_differ_are_marked_side_by_side(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a", 0.0, said="It is 7.")])
    run_of(tmp_path / "two", [line("a", 1.0, said="It is 8.")])
    said = page(Viewer(tmp_path), "/diff/sample", run="one", change="fixed", id="a", **{"with": "two"})
    assert "It is <del>7</del>." in said
    assert "It is <ins>8</ins>." in said
    assert "1 of 1 fixed" in words(said)


def test_what_does_not_compare_is_said(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a")])
    run_of(tmp_path / "other", [line("a")], protocol="9" * 64)
    run_of(tmp_path / "apart", [line("z")])
    viewer = Viewer(tmp_path)
    assert "They do not compare: the hash of the protocol" in page(viewer, "/diff", run="one", **{"with": "other"})
    assert "share no sample" in page(viewer, "/diff", run="one", **{"with": "apart"})
    (tmp_path / "other" / "results.json").unlink()
    assert "the run has not ended" in page(viewer, "/diff", run="one", **{"with": "other"})


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/nowhere", "no such page"),
        ("/run", "this address lacks it"),
        ("/run?run=../one", "holds no such run"),
        ("/run?run=/etc", "holds no such run"),
        ("/run?run=%00", "holds no such run"),
        ("/run?run=one%FF", "not well-formed"),
        ("/run?run=one&outcome=rihgt", "did you mean 'right'"),
        ("/run?run=one&metric=bleu", "no such metric"),
        ("/run?run=one&subset=none&page=1", "no such subset"),
        ("/sample?run=one&id=zzz", "no sample of this id"),
        ("/diff?run=one&with=one&change=worse", "change=worse"),
        ("/diff?run=one&with=two", "holds no such run"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(tmp_path: Path, target: str, said: str) -> None:
    run_of(tmp_path / "in" / "one", [line("a")])
    run_of(tmp_path / "one", [line("a")])
    found = Viewer(tmp_path / "in").answer(target)
    assert found.status == 404
    assert said in words(found.text)


def test_right_and_wrong_are_not_asked_of_perplexities(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("a", 5.0)], higher_is_better=False)
    viewer = Viewer(tmp_path)
    assert 'name="outcome"' not in page(viewer, "/run", run="one")
    assert "knows no right and wrong" in page(viewer, "/run", 404, run="one", outcome="wrong")


def test_a_lone_surrogate_in_an_id_can_be_linked_to(tmp_path: Path) -> None:
    run_of(tmp_path / "one", [line("\ud800")])
    viewer = Viewer(tmp_path)
    (link,) = re.findall(r'<a class="row" href="([^"]*)"', page(viewer, "/run", run="one"))
    assert viewer.answer(unescape(link)).status == 200
