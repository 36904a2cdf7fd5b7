"""From a name to a task that is ready to run, and a sentence for everything that can be wrong on the way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import DataError, EvalHarnessError, UsageError
from evalharness.registry import task_files
from evalharness.tasks.files import read_yaml
from evalharness.tasks.task import Wanted, expand, load_task, protocol_names

SHIPPED = {name: path for name, path in task_files().items() if "suite" not in read_yaml(path)}


def _refused(error: type[EvalHarnessError], message: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(error, match=re.escape(message)) as refused:
        load_task(*arguments, **options)
    assert "\n" not in str(refused.value)


# --------------------------------------------------------------------------- shipped tasks


@pytest.mark.parametrize("name", SHIPPED)
def test_every_protocol_of_a_shipped_task_loads(name: str) -> None:
    task = load_task(name)
    for protocol in protocol_names(task.path):
        loaded = load_task(name, protocol=protocol)
        assert (loaded.name, loaded.protocol) == (name, protocol)
    place = SHIPPED[name].parent.relative_to(SHIPPED["gsm8k"].parents[2]).as_posix()
    assert task.definition.ability == place


@pytest.mark.parametrize("name", ["gsm8k", "arc_easy", "hellaswag", "mmlu", "wikitext", "lambada_openai"])
def test_benchmarks_of_lm_eval_have_its_protocol(name: str) -> None:
    protocol = load_task(name, protocol="lm-eval").definition
    assert load_task(name).definition.known_defects == ()
    if protocol.demonstrations.policy == "lm_eval" and protocol.demonstrations.shots:
        assert protocol.known_defects, "a copied fault is declared"


# --------------------------------------------------------------------------- what a user types


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gsm8", {}, "unknown task 'gsm8'; did you mean 'gsm8k'?"),
        ("gsm8k", {"protocol": "lmeval"}, "gsm8k has no protocol 'lmeval'; did you mean 'lm-eval'?"),
        ("gsm8k", {"method": "dirct"}, "unknown method 'dirct'; did you mean 'direct'?"),
        ("mmlu/astronmy", {}, "mmlu has no subset 'astronmy'; did you mean 'astronomy'?"),
        ("gsm8k/algebra", {}, "gsm8k has no subsets, so 'algebra' is none of them."),
        ("symbolic", {}, "'symbolic' is a suite of tasks; run it with --task symbolic"),
        ("nowhere/task.yaml", {}, "--task nowhere/task.yaml: no such file."),
        ("lambada_openai", {"shots": 3}, "lambada_openai: --shots 3 needs demonstrations, but this task names no pool"),
        ("hellaswag", {"method": "direct"}, "hellaswag: the method direct needs the section 'target'"),
        ("hellaswag", {"method": "direct"}, "fitting methods: choice_likelihood."),
        ("gsm8k", {"method": "rolling_likelihood"}, "the method rolling_likelihood needs the section 'document'"),
        ("gsm8k", {"method": "few_shot", "shots": 0}, "the method few_shot needs demonstrations; add --shots 5, say."),
        (
            "gsm8k",
            {"method": "zero_shot_chain_of_thought", "shots": 2},
            "the method zero_shot_chain_of_thought shows no demonstrations; use --shots 0.",
        ),
        ("gsm8k", {"changes": {"metrics": ["acc"]}}, "the metric acc reads choices, which the method chain_of_thought"),
        ("gsm8k", {"changes": {"reducer": "pass@3"}}, "the reducer 'pass@3' draws 3 of the repeats, but there are 1"),
        ("gsm8k", {"changes": {"reducer": "mode"}}, "unknown reducer 'mode'"),
    ],
)  # fmt: skip
def test_usage(name: str, options: dict[str, Any], message: str) -> None:
    _refused(UsageError, message, name, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decod": {}}, "decod: unknown key; did you mean 'decode'?"),
        ({"decode": {"temprature": 1}}, "decode.temprature: unknown key; did you mean 'temperature'?"),
        ({"decode": {"temperature": "hot"}}, "decode.temperature: "),
        ({"decode": {"temperature": -1}}, "decode.temperature: "),
        ({"elicitation": {"trigger": "x"}}, "elicitation: trigger: unknown key"),
        ({"answer": {"parser": "numbr"}}, "did you mean 'number'?"),
        ({"metrics": ["exact_mtch"]}, "did you mean 'exact_match'?"),
        ({"prompt": {"question": "{{ question"}}, "prompt.question: the template"),
    ],
)
def test_changes_of_the_command_line(changes: dict[str, Any], message: str) -> None:
    _refused(DataError, message, "gsm8k", changes=changes)


def test_a_change_is_blamed_on_the_command_line() -> None:
    _refused(DataError, "gsm8k.yaml with the changes on the command line: decod: ", "gsm8k", changes={"decod": {}})


def test_a_method_takes_its_own_shots_and_options() -> None:
    zero = load_task("gsm8k", method="zero_shot_chain_of_thought")
    assert zero.definition.demonstrations.shots == 0
    votes = load_task("gsm8k", method="self_consistency", changes={"elicitation": {"samples": 5}})
    assert votes.method_options.model_dump()["samples"] == 5
    assert votes.definition.demonstrations.shots == 5


def test_changes_are_merged_over_the_protocol() -> None:
    task = load_task("gsm8k", protocol="lm-eval", changes={"decode": {"temperature": 0.7}}, shots=2)
    assert (task.sampling.temperature, task.sampling.max_tokens) == (0.7, 256)
    assert (task.definition.demonstrations.shots, task.definition.demonstrations.policy) == (2, "lm_eval")


def test_a_file_of_the_users_own_takes_the_place_of_the_hub() -> None:
    data = load_task("gsm8k", changes={"data": {"file": "mine.jsonl"}}).definition.data
    assert (data.file, data.hub, data.demo, data.split) == ("mine.jsonl", None, None, "test")
    opened = load_task("triviaqa", protocol="open-book", changes={"data": {"file": "mine.jsonl"}}).definition.data
    assert (opened.hub, opened.retrieve is not None) == (None, True)


# --------------------------------------------------------------------------- judges and reducers

JUDGE = {"judge": "execution", "tests": "assert f() == {{ why }}", "calls": "{{ ['f'] }}"}


def test_a_task_with_a_judge_executes_and_reads_its_columns(write: Any) -> None:
    task, plain = load_task(write.own(judging=[JUDGE])), load_task(write.own("plain"))
    assert (task.executes, plain.executes) == (True, False)
    assert task.columns == plain.columns | {"why"}
    assert plain.judges == ()


def test_each_metric_is_reduced_by_its_own_rule_or_the_tasks(write: Any) -> None:
    metrics = ["exact_match", {"metric": "exact_match", "label": "one of two", "reducer": "pass@2"}]
    task = load_task(write.own(repeats=3, reducer="pass@3", metrics=metrics))
    assert task.reducers == {"exact_match": "pass@3", "one of two": "pass@2"}


def test_a_metric_without_its_judge(write: Any) -> None:
    _refused(DataError, "own.yaml: metrics[1]: passes reads what the judge 'execution' says, but the section judging "
             "does not list it.", write.own(metrics=["exact_match", "passes"]))  # fmt: skip


def test_judges_need_an_answer_that_is_written_and_read(write: Any) -> None:
    bare = {"metric": "exact_match", "answer": {"parser": "number"}}
    _refused(DataError, "own.yaml: judging: judges read an answer, but nothing says how; add answer: {parser: code}",
             write.own(answer=None, metrics=[bare], judging=[JUDGE]))  # fmt: skip
    changes = {"judging": [JUDGE | {"tests": ""}]}
    _refused(UsageError, "hellaswag: the judge execution judges what a model writes, and the method choice_likelihood "
             "lets it write nothing", "hellaswag", changes=changes)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judging": [JUDGE | {"calls": "f"}]}, "judging[0].calls: this field takes one {{ expression }}"),
        ({"judging": [JUDGE | {"test": "f"}]}, "judging[0]: test: unknown key; did you mean 'tests'?"),
        ({"judging": ["execute"]}, "judging[0]: unknown judge 'execute'; did you mean 'execution'?"),
        ({"judging": "execution"}, "judging: Input should be a valid tuple"),
    ],
)
def test_a_faulty_judge(write: Any, changes: dict[str, Any], message: str) -> None:
    _refused(DataError, message, write.own(**changes))


def test_a_reducer_of_a_metric_that_draws_too_much() -> None:
    _refused(UsageError, "the reducer 'pass@8' draws 8 of the repeats, but there are 5 of them.", "humaneval",
             protocol="lm-eval-64", changes={"repeats": 5})  # fmt: skip


# --------------------------------------------------------------------------- subsets


def test_subsets() -> None:
    whole, stem, one = load_task("mmlu"), load_task("mmlu/stem"), load_task("mmlu/astronomy")
    assert (whole.name, stem.name, one.name) == ("mmlu", "mmlu/stem", "mmlu/astronomy")
    assert (len(whole.subsets()), len(stem.subsets()), one.subsets()) == (57, 19, ["astronomy"])
    assert set(stem.subsets()) < set(whole.subsets())
    assert whole.group_of("professional_law") == "humanities"
    assert load_task("gsm8k").subsets() == [None]


# --------------------------------------------------------------------------- task files


def test_a_file_by_its_path_or_by_its_folder(write: Any) -> None:
    path = write.own()
    assert load_task(path).name == load_task("own", include=[write.folder]).name == "own"
    assert load_task(path, protocol="short").sampling.max_tokens == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promt": {}}, "own.yaml: promt: unknown key; did you mean 'prompt'?"),
        ({"prompt": {"question": "q", "templte": "plain"}}, "prompt.templte: unknown key; did you mean 'template'?"),
        ({"prompt": {}}, "prompt.question: this key is required but missing."),
        ({"prompt": None}, "prompt: this key is required but missing."),
        ({"metrics": []}, "metrics: "),
        ({"examples": [{"question": "q", "answer": "a"}]}, "examples: 1 given; write at least three, or none."),
        ({"version": 0}, "version: "),
        ({"target": None}, "say what is right: give one of target, choices, continuation, document."),
        ({"continuation": "{{ answer }}"}, "target and continuation do not go together; keep one."),
        ({"data": {"hub": "a/b", "file": "c"}}, "data: one source is needed but hub and file is given"),
        ({"demonstrations": {"shots": -1}}, "demonstrations.shots: "),
        ({"demonstrations": {"policy": "rondom"}}, "demonstrations.policy: "),
        ({"elicitation": {"method": "self_consistency", "smples": 3}}, "smples: unknown key; did you mean 'samples'?"),
    ],
)
def test_a_malformed_definition(write: Any, changes: dict[str, Any], message: str) -> None:
    _refused(DataError, message, write.own(**changes))


@pytest.mark.parametrize(
    ("right", "method", "metric"),
    [
        ({"target": "{{ a }}"}, "direct", "exact_match"),
        ({"choices": {"texts": ["yes", "no"], "gold": "{{ a }}"}}, "choice_likelihood", "acc"),
        ({"continuation": "{{ a }}"}, "continuation_likelihood", "greedy_match"),
        ({"document": {"text": "{{ a }}"}}, "rolling_likelihood", "word_perplexity"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_a_task_of_five_lines(write: Any, right: dict[str, Any], method: str, metric: str) -> None:
    """What says the right answer decides how to ask and how to score, unless the file does."""
    values = {"name": "mine", "data": {"file": "mine.jsonl"}, "prompt": {"question": "{{ q }}"}, **right}
    task = load_task(write.text("mine", json.dumps(values)))
    assert (task.method.name, [each.name for each in task.metrics]) == (method, [metric])
    assert (task.parser is not None) == (metric == "exact_match")


def test_an_unknown_template_or_method_in_a_file(write: Any) -> None:
    prompt = {"question": "q", "template": "qa"}
    _refused(UsageError, "unknown prompt template 'qa'; did you mean 'q_a'?", write.own(prompt=prompt))
    _refused(UsageError, "unknown method 'dirct'; did you mean 'direct'?", write.own(elicitation={"method": "dirct"}))


def test_a_reasoning_method_without_reasoned_demonstrations(write: Any) -> None:
    path = write.own(prompt={"question": "{{ question }}", "answer": "{{ answer }}"})
    _refused(UsageError, "prompt.reasoned_answer is missing", path, method="chain_of_thought")
    assert load_task(path, method="chain_of_thought", shots=0).definition.demonstrations.shots == 0


def test_the_name_is_the_files_name(write: Any) -> None:
    path = write.own().rename(write.folder / "other.yaml")
    _refused(DataError, "name: 'own' must be the file's name 'other'.", path)


def test_a_faulty_protocol_is_blamed_by_name(write: Any) -> None:
    path = write.own(protocols={"wrong": {"decode": {"max_token": 3}}})
    _refused(
        DataError, "protocols.wrong: decode.max_token: unknown key; did you mean 'max_tokens'?", path, protocol="wrong"
    )


# --------------------------------------------------------------------------- suites and patterns


def test_a_suite_expands_in_order() -> None:
    assert expand(["symbolic"])[:4] == [
        Wanted("coin_flip", {}, "symbolic"),
        Wanted("coin_flip", {"protocol": "four_people"}, "symbolic"),
        Wanted("last_letter_concatenation", {}, "symbolic"),
        Wanted("last_letter_concatenation", {"protocol": "four_words"}, "symbolic"),
    ]


def test_names_globs_subsets_and_paths(write: Any) -> None:
    path = write.own()
    patterns = ["mmlu/stem", "la*", str(path), "gsm8k", "gsm8k"]
    names = ["mmlu/stem", "lambada_openai", "last_letter_concatenation", str(path), "gsm8k"]
    assert [wanted.name for wanted in expand(patterns)] == names
    assert expand(["own"], [write.folder]) == [Wanted("own", {})]


def test_a_pattern_that_fits_nothing() -> None:
    with pytest.raises(UsageError, match=r"unknown task 'hellaswg'; did you mean 'hellaswag'\?"):
        expand(["gsm8k", "hellaswg"])


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("[{task: gsm8k, protocl: lm-eval}]", "gsm8k: unknown key 'protocl'; did you mean 'protocol'?"),
        ("[{protocol: lm-eval}]", "each entry is a name or a mapping with the key 'task'"),
        ("[]", "tasks: "),
    ],
)
def test_a_malformed_suite(write: Any, tasks: str, message: str) -> None:
    write.text("mine", f"suite: mine\ndescription: d\ntasks: {tasks}\n")
    with pytest.raises(DataError, match=re.escape(message)):
        expand(["mine"], [write.folder])


def test_own_folders(write: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        expand(["own"], [tmp_path / "nowhere"])
    write.own("gsm8k")
    with pytest.raises(DataError, match="the name 'gsm8k' is taken by"):
        expand(["gsm8k"], [write.folder])


def test_a_definition_survives_json() -> None:
    """What a record keeps of a definition builds the same task again."""
    task = load_task("gsm8k", protocol="lm-eval")
    dumped = json.loads(task.definition.model_dump_json())
    assert type(task.definition).model_validate(dumped) == task.definition
