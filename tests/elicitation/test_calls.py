"""Native function calls: what the model is told, and what of its answer becomes the candidate."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import said
from openai_server_for_tests import serving
from tokenizers_for_tests import text_tokenizer

from evalharness.elicitation.base import Ask
from evalharness.elicitation.calls import native_calls
from evalharness.errors import DataError, UsageError
from evalharness.prompting.prompter import Prompter
from evalharness.records.folder import read_run
from evalharness.tasks.protocol_hash import protocol_facts, protocol_hash, synthetic_samples
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Completion, Completions, GenerateRequest, Request, Result, Tokenizer

ADD = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}
OWN: dict[str, Any] = {
    "name": "calls",
    "data": {"file": "calls.jsonl"},
    "prompt": {"question": "{{ question }}", "tools": "{{ functions }}"},
    "target": "{{ answer }}",
    "elicitation": {"method": "function_calling"},
    "decode": {"max_tokens": 32},
    "examples": [{"question": f"Add {n}.", "functions": [ADD], "answer": "x"} for n in range(3)],
}
CHATML = (
    "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% endfor %}<assistant>"
)


class Model:
    """Says one completion to everything."""

    def __init__(self, completion: Completion) -> None:
        self.completion = completion
        self.asked: list[GenerateRequest] = []

    async def ask(self, request: Request) -> Result:
        assert isinstance(request, GenerateRequest)
        self.asked.append(request)
        return Completions((self.completion,))


def _task(folder: Path, **changes: Any) -> Task:
    path = folder / "calls.yaml"
    path.write_text(yaml.safe_dump(OWN | changes), encoding="utf-8")
    return load_task(path)


def _run(task: Task, model: Model, *, tokenizer: Tokenizer | None = None, chat: bool = False) -> Attempt:
    sample = synthetic_samples(task)[0]
    ask = Ask(
        task=task.name,
        sample=sample,
        reference=task.renderer.reference(sample),
        demonstrations=[],
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=tokenizer, max_length=None, chat=chat),
        waves=model,
        sampling=task.sampling,
    )

    async def elicited() -> Attempt:
        return await task.method.run(ask, task.method_options)

    return asyncio.run(elicited())


def test_calls_are_the_candidate_in_canonical_form(tmp_path: Path) -> None:
    calls = (
        {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{ "b": 2, "a": 1.0 }'}},
        {"id": "2", "type": "function", "function": {"name": "sub", "arguments": ""}},
    )
    model = Model(Completion(text="Let me add.", tool_calls=calls))
    attempt = _run(_task(tmp_path), model)
    assert attempt.candidates == ('[{"arguments":{"a":1.0,"b":2},"name":"add"},{"arguments":{},"name":"sub"}]',)
    (request,) = model.asked
    assert [tool.name for tool in request.prompt.tools] == ["add"]
    assert request.prompt.tools[0].parameters == ADD["parameters"]
    assert attempt.calls[0].prompt == request.prompt


def test_without_calls_the_text_is_the_candidate(tmp_path: Path) -> None:
    assert _run(_task(tmp_path), Model(Completion(text="I cannot."))).candidates == ("I cannot.",)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        (" ", {}),
        (None, {}),
        ('{"a": 1', '{"a": 1'),
        ("[1]", "[1]"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_arguments_that_are_no_object_stay_the_text_that_they_were(arguments: Any, kept: Any) -> None:
    chat = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    response = {"type": "function_call", "name": "f", "arguments": arguments}
    assert native_calls([chat, response]) == [{"name": "f", "arguments": kept}] * 2
    json.dumps(native_calls([chat]), allow_nan=False)


def test_a_model_that_runs_here_sees_the_functions_in_its_template(tmp_path: Path) -> None:
    model = Model(Completion(text='<tool_call>{"name": "add"}</tool_call>'))
    attempt = _run(_task(tmp_path), model, tokenizer=text_tokenizer(chat_template=CHATML), chat=True)
    told, asked = model.asked[0].prompt.text.split("\n")
    assert json.loads(told)["function"]["name"] == "add"
    assert asked == "<user>Add 0.<assistant>"
    assert attempt.candidates == ('<tool_call>{"name": "add"}</tool_call>',)


def test_plain_text_cannot_call_natively(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="native function calls need a conversation; add --chat"):
        _run(_task(tmp_path), Model(Completion(text="")), tokenizer=text_tokenizer(chat_template=CHATML))


def test_a_task_must_say_which_functions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"calls\.yaml: prompt\.tools is missing"):
        _run(_task(tmp_path, prompt={"question": "{{ question }}"}), Model(Completion(text="")))


def test_a_run_records_the_calls_and_the_candidate(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the official client is an extra")
    path = tmp_path / "calls.yaml"
    right = '[{"arguments":{"a":1},"name":"add"}]'
    path.write_text(yaml.safe_dump(OWN), encoding="utf-8")
    rows = [{"question": f"Add {number}.", "functions": [ADD], "answer": right} for number in (1, 2)]
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving() as server:
        server.calls = {"Add 1": [("add", '{ "a": 1 }')], "Add 2": [("add", '{"a": ')]}
        said("run", "--task", path, "--model", server.spec, "--chat", "--output", tmp_path / "out", "--quiet").done()
    run = read_run(tmp_path / "out")
    lines = {line["id"]: line["repeats"][0] for line in run.lines()}
    assert lines["0"]["candidates"] == [right]
    assert lines["1"]["candidates"] == ['[{"arguments":"{\\"a\\": ","name":"add"}]']
    (call,) = lines["0"]["calls"][0]["completions"][0]["tool_calls"]
    assert call["function"] == {"name": "add", "arguments": '{ "a": 1 }'}
    assert run.results is not None
    assert run.results.scores["exact_match"].value == 0.5
    assert run.results.counts["unparsed"] == run.results.counts["errored"] == 0


def test_the_functions_are_part_of_the_protocol(tmp_path: Path) -> None:
    task = _task(tmp_path)
    before = protocol_hash(task)
    assert protocol_facts(task, chat=False, system_prompt=None)["documents"][0]["tools"][0]["function"]["name"] == "add"
    other = [{**row, "functions": [{**ADD, "description": "Subtracts."}]} for row in OWN["examples"]]
    assert protocol_hash(_task(tmp_path, examples=other)) != before
    assert "functions" in task.columns
