"""The loop of thoughts, actions and observations, with a model that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers_for_tests import text_tokenizer

from evalharness.data.corpus import Corpus
from evalharness.data.passages import Passage
from evalharness.elicitation.base import Ask
from evalharness.errors import DataError, ServiceError, UsageError
from evalharness.prompting.prompter import Prompter
from evalharness.sandbox.choose import choose
from evalharness.sandbox.pool import Pool
from evalharness.tasks.protocol_hash import synthetic_samples
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Completion, Completions, GenerateRequest, Request, Result

TASK = """\
name: ferries
data: {file: rows.jsonl}
prompt: {question: "Question: {{ question }}\\n", delimiter: "", separator: "\\n", reasoned_answer: "{{ steps }}"}
target: "{{ answer }}"
elicitation:
  method: react
  steps: 3
  tools: [{tool: search, corpus: {sources: [{data: {file: pages.jsonl}, text: text}]}}, lookup, calculator]
decode: {max_tokens: 50}
metrics:
  [exact_match, finished, steps, bad_calls, failed_actions, tool_uses,
   {metric: tool_uses, label: looked_up, tool: lookup}]
examples:
  - {question: Where does the ferry land?, answer: Lund, steps: "Thought 1: I know.\\nAction 1: Finish[Lund]"}
  - {question: Who steers it?, answer: Ida, steps: "Thought 1: Ida does.\\nAction 1: Finish[Ida]"}
  - {question: What is it called?, answer: Gull, steps: "Thought 1: It is Gull.\\nAction 1: Finish[Gull]"}
"""
CORPUS = Corpus(
    [Passage("", "The ferry is old. It lands at Lund. Ida steers the ferry"), Passage("", "Copper is a metal.")]
)


class Model:
    """Says these texts in turn, the last one for ever, cut as an engine cuts them at stop strings."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.asked: list[GenerateRequest] = []

    async def ask(self, request: Request) -> Result:
        assert isinstance(request, GenerateRequest)
        text = self.said[min(len(self.asked), len(self.said) - 1)]
        self.asked.append(request)
        for stop in request.sampling.stop:
            text = text.partition(stop)[0]
        return Completions((Completion(text=text),))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "ferries.yaml").write_text(TASK, encoding="utf-8")
    return load_task(tmp_path / "ferries.yaml")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    boxes = Pool(choose(), workers=1)
    yield boxes
    boxes.close()


def run(
    task: Task, model: Model, *, corpus: Any = CORPUS, sandbox: Any = None, shots: int = 0, **prompting: Any
) -> Attempt:
    samples = synthetic_samples(task)
    ask = Ask(
        task=task.name,
        sample=samples[0],
        reference=task.renderer.reference(samples[0]),
        demonstrations=samples[1 : 1 + shots],
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, **{"tokenizer": None, "max_length": None, **prompting}),
        waves=model,
        sampling=task.sampling,
        sandbox=sandbox,
        corpus=corpus,
    )

    async def elicited() -> Attempt:
        return await task.method.run(ask, task.method_options)

    return asyncio.run(elicited())


def scores(task: Task, attempt: Attempt) -> dict[str, float]:
    scored = task.scorer.score(attempt, task.renderer.reference(synthetic_samples(task)[0]))
    return {name: score.value for name, score in scored.scores.items()}


def test_a_loop_that_searches_looks_up_and_finishes(task: Task) -> None:
    model = Model(
        " I search the ferry.\nAction 1: Search[ferry]\nObservation 1: It lands on the moon.",
        " Where does it land?\nAction 2: Lookup[LANDS]",
        " At Lund.\nAction 3: Finish[Lund]",
    )
    attempt = run(task, model, shots=1)
    assert [request.prompt.text for request in model.asked][-1] == (
        "Question: Who steers it?\nThought 1: Ida does.\nAction 1: Finish[Ida]\n"
        "Question: Where does the ferry land?\nThought 1: I search the ferry.\nAction 1: Search[ferry]\n"
        "Observation 1: The ferry is old. It lands at Lund. Ida steers the ferry.\n"
        "Thought 2: Where does it land?\nAction 2: Lookup[LANDS]\nObservation 2: (Result 1 / 1) It lands at Lund.\n"
        "Thought 3:"
    )
    assert [request.sampling.stop for request in model.asked] == [(f"\nObservation {step}:",) for step in (1, 2, 3)]
    assert all(request.continues for request in model.asked)
    texts = [request.prompt.text for request in model.asked]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert attempt.candidates == ("Lund",)
    assert [(use.tool, dict(use.arguments), use.step) for use in attempt.tool_uses] == [
        ("search", {"entity": "ferry"}, 1),
        ("lookup", {"keyword": "LANDS"}, 2),
    ]
    assert [(step.thought, step.action, step.status) for step in attempt.steps] == [
        ("I search the ferry.", "Search[ferry]", "ok"),
        ("Where does it land?", "Lookup[LANDS]", "ok"),
        ("At Lund.", "Finish[Lund]", "finished"),
    ]
    assert attempt.steps[-1].observation is None
    assert scores(task, attempt) == {
        "exact_match": 1, "finished": 1, "steps": 3, "bad_calls": 0, "failed_actions": 0, "tool_uses": 2,
        "looked_up": 1,
    }  # fmt: skip


def test_a_loop_that_never_ends_is_bounded(task: Task) -> None:
    model = Model(
        " Again.\nAction 1: Search[ferry]", " Again.\nAction 2: Search[ferry]", " And.\nAction 3: Search[ferry]"
    )
    attempt = run(task, model)
    assert (len(model.asked), len(attempt.steps), attempt.candidates) == (3, 3, ("",))
    found = scores(task, attempt)
    assert (found["finished"], found["steps"], found["exact_match"]) == (0, 3, 0)


def test_a_model_that_writes_nothing(task: Task) -> None:
    model = Model("")
    attempt = run(task, model)
    assert len(model.asked) == 6
    assert model.asked[1].prompt.text.endswith("\nThought 1: \nAction 1:")
    assert model.asked[1].sampling.stop == ("\n",)
    assert model.asked[2].prompt.text.endswith("\nAction 1: \nObservation 1: Invalid action: \nThought 2:")
    assert [request.continues for request in model.asked] == [True] * 5 + [False]
    assert {(step.status, step.again) for step in attempt.steps} == {("malformed", "nothing was written")}
    assert scores(task, attempt)["bad_calls"] == scores(task, attempt)["failed_actions"] == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (" Two.\nAction 1: Search[a]\nAction 1: Search[b]", "there are 2 lines 'Action 1: '"),
        (" Two.\nAction 1: Search[a]\nAction 2: Search[b]", "there is a line 'Action 2:' besides"),
        (" Fast.\nAction 1: Search[a]\nThought 2: Done.\nAction 2: Finish[b]", "there is a line 'Thought 2:' besides"),
        (" Own.\nAction 1: Search[a]\nObservation: It is b.", "there is a line 'Observation:' besides"),
        (" Own.\nObservation 9: b\nAction 1: Finish[b]", "there is a line 'Observation 9:' besides"),
        (" I know it: Lund.", "there is no line 'Action 1: '"),
        (" Wrong number.\nAction 2: Finish[b]", "there is no line 'Action 1: '"),
        ("\nAction 1: Finish[b]", "there is no line 'Action 1: '"),
    ],
)
def test_what_is_no_turn_is_a_bad_call_and_asked_again(task: Task, said: str, why: str) -> None:
    """Nothing that the model made up behind its first line stays in the transcript."""
    model = Model(said, " Finish[Lund]\nObservation 1: more")
    attempt = run(task, model)
    (step,) = attempt.steps
    assert (step.thought, step.action, step.again) == (said.strip().split("\n")[0], "Finish[Lund]", why)
    assert model.asked[1].prompt.text.endswith(f"\nThought 1: {step.thought}\nAction 1:")
    assert attempt.candidates == ("Lund",)
    assert scores(task, attempt)["bad_calls"] == 1


def test_actions_that_are_none(task: Task) -> None:
    model = Model(
        " No brackets.\nAction 1: Search the ferry",
        " No such tool.\nAction 2: Buy[a ticket]",
        " No sum.\nAction 3: Calculator[2 +* 3]",
    )
    attempt = run(task, model)
    assert [step.status for step in attempt.steps] == ["malformed", "unknown", "invalid"]
    assert [step.observation for step in attempt.steps][:2] == [
        "Invalid action: search the ferry",
        "Invalid action: buy[a ticket]",
    ]
    assert [(use.tool, use.status, use.step) for use in attempt.tool_uses] == [
        ("buy", "unknown", 2),
        ("calculator", "invalid", 3),
    ]
    assert scores(task, attempt)["failed_actions"] == 3


def test_a_search_that_finds_nothing_and_a_page_that_ends(task: Task) -> None:
    model = Model(
        " I look before I open.\nAction 1: lookup[ferry]",
        " I search.\nAction 2: search[zeppelin]",
        " That is all.\nAction 3: finish[]",
    )
    attempt = run(task, model)
    assert [step.status for step in attempt.steps] == ["not_found", "not_found", "finished"]
    assert attempt.steps[0].observation == "No more results.\n"
    assert attempt.steps[1].observation == "Could not find zeppelin. Similar: []."
    assert (attempt.candidates, scores(task, attempt)["finished"]) == (("",), 1)


def test_brackets_and_lines_inside_of_an_argument(tmp_path: Path, pool: Pool) -> None:
    listed = "tools: [calculator, {tool: python, seconds: 5}]"
    path = tmp_path / "ferries.yaml"
    path.write_text(
        "".join(f"  {listed}\n" if "tools:" in line else f"{line}\n" for line in TASK.splitlines()), encoding="utf-8"
    )
    task = load_task(path)
    assert task.executes
    model = Model(
        " I count.\nAction 1: Python[tolls = [2, 3]\ntotal = sum(tolls)\ntotal]",
        " I use what is set.\nAction 2: Python[print(tolls[0] * total)]",
        " So it is.\nAction 3: Finish[10 [in all]]",
    )
    attempt = run(task, model, sandbox=pool)
    assert [step.observation for step in attempt.steps] == ["5", "10", None]
    assert attempt.candidates == ("10 [in all]",)


def test_a_python_tool_without_a_sandbox(tmp_path: Path) -> None:
    task = load_task("gsm8k", protocol="react")
    assert task.executes
    with pytest.raises(ServiceError, match="this run has no sandbox"):
        run(task, Model(" So.\nAction 1: Finish[72]"))


def test_a_search_without_a_corpus(task: Task) -> None:
    with pytest.raises(
        ServiceError, match=r"^the tool search looks pages up in a corpus, and this run has loaded none\.$"
    ):
        run(task, Model("x"), corpus=None)


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        (["search"], r"elicitation\.tools\[0\]: corpus: this key is required but missing\."),
        (["lookup"], r"elicitation\.tools\[0\]: the tool 'lookup' needs the tool 'search'; list that one too\."),
        (["calculator", "calculator"], r"elicitation\.tools\[1\]: the tool 'calculator' is listed twice"),
        (["calculater"], "unknown tool 'calculater'; did you mean 'calculator'"),
        ([], "elicitation: tools"),
        (["finish"], "finish is 'Finish', which calls a tool of that name"),
    ],
)
def test_a_faulty_list_of_tools_is_a_sentence_before_anything_is_asked(tools: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_task("gsm8k", protocol="react", changes={"elicitation": {"tools": tools}})


FRAGMENTS = [
    " So.", "", "\n", "\nAction 1: ", "\nAction 2: ", "Action 1:", "Search[", "ferry", "]", "[", "Lookup[lands]", "}{",
    "Finish[Lund]", "\nObservation 1: Lund", "\nObservation: Lund", "\nThought 2: ", "Calculator[1/0]",
    "Calculator[2+2]", "\x00", "é\u202e",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=7).map("".join), min_size=1, max_size=6))
def test_whatever_is_written_the_loop_is_bounded_and_its_transcript_is_one(task: Task, said: list[str]) -> None:
    model = Model(*said)
    attempt = run(task, model)
    assert 1 <= len(attempt.steps) <= 3
    assert len(model.asked) <= 6
    texts = [request.prompt.text for request in model.asked]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    observed = [step.observation for step in attempt.steps if step.status != "finished"]
    shown = [line for line in texts[-1].split("\n") if line.startswith("Observation")]
    told = [f"Observation {number}: {text}".split("\n")[0] for number, text in enumerate(observed, 1)]
    assert shown == told[: len(shown)]
    assert len(shown) >= len(attempt.steps) - 1
    assert (attempt.steps[-1].status == "finished") == (len(observed) < len(attempt.steps))


def test_words_that_are_the_same(task: Task) -> None:
    with pytest.raises(DataError, match="must be three different words"):
        load_task("gsm8k", protocol="react", changes={"elicitation": {"action": "Thought"}})


def test_words_of_ones_own(tmp_path: Path) -> None:
    changes = {
        "elicitation": {
            "thought": "Idea",
            "action": "Do",
            "observation": "Seen",
            "finish": "Answer",
            "tools": ["calculator"],
        }
    }
    task = load_task("gsm8k", protocol="react", changes=changes)
    model = Model(" I add.\nDo 1: Calculator[70 + 2]", " Done.\nDo 2: Answer[72]")
    attempt = run(task, model)
    assert model.asked[1].prompt.text.endswith("\nIdea 1: I add.\nDo 1: Calculator[70 + 2]\nSeen 1: 72\nIdea 2:")
    assert attempt.candidates == ("72",)
    assert not task.executes


def test_a_conversation_goes_on_by_turns(task: Task) -> None:
    """A model repeats the label that its turn was opened with, which is no second one."""
    model = Model("Thought 1: I search.\nAction 1: Search[ferry]", "Thought: Hm", "Action 2: Finish[Lund]")
    attempt = run(task, model, chat=True)
    assert [(message.role, message.content) for message in model.asked[-1].prompt.messages] == [
        ("user", "Question: Where does the ferry land?\nThought 1:"),
        ("assistant", " I search.\nAction 1: Search[ferry]"),
        ("user", "Observation 1: The ferry is old. It lands at Lund. Ida steers the ferry.\nThought 2:"),
        ("assistant", " Hm"),
        ("user", "Action 2:"),
    ]
    assert (attempt.candidates, attempt.steps[1].thought) == (("Lund",), "Hm")


def test_the_metrics_need_a_loop(task: Task) -> None:
    with pytest.raises(UsageError, match="reads steps, which the method direct does not bring"):
        load_task("gsm8k", protocol="react", method="direct")


def test_what_a_demonstration_of_gsm8k_observes_is_what_the_tools_say(pool: Pool) -> None:
    task = load_task("gsm8k", protocol="react")
    assert task.definition.demonstrations.rows is not None
    for row in task.definition.demonstrations.rows:
        steps = str(row["steps"]).removeprefix("Thought 1:")
        turns = []
        for number in range(1, 8):
            turn, _, rest = steps.partition(f"\nObservation {number}: ")
            observed, _, steps = rest.partition(f"\nThought {number + 1}:")
            turns.append((turn, observed or None))
            if not rest:
                break
        attempt = run(task, Model(*(turn for turn, _ in turns)), sandbox=pool)
        assert [step.observation for step in attempt.steps] == [observed for _, observed in turns]
        assert attempt.steps[-1].status == "finished"


def test_prompts_grow_by_what_was_said_in_ids_too(task: Task) -> None:
    model = Model(" I search.\nAction 1: Search[ferry]", " So.\nAction 2: Finish[Lund]")
    run(task, model, tokenizer=text_tokenizer())
    first, second = (request.prompt for request in model.asked)
    assert first.ids is not None
    assert second.ids is not None
    assert second.ids[: len(first.ids)] == first.ids
