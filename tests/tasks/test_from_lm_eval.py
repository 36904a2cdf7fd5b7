"""Task files of lm-eval become ours: the same is asked to the byte, or a sentence says what cannot be carried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import said
from parity.ours import asked_of, read_split, write_split

from evalharness.data.sources import SourceSettings
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.tasks.from_lm_eval.convert import Converted, NotCarriedError, convert
from evalharness.tasks.from_lm_eval.templates import NoExpressionError, constant, expression, settled
from evalharness.tasks.from_lm_eval.written import text_of
from evalharness.tasks.from_lm_eval.yaml_files import read_lm_eval_yaml

CHOICE: dict[str, Any] = {
    "task": "own_choice",
    "dataset_path": "org/own",
    "test_split": "test",
    "training_split": "train",
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_choice": "{{options}}",
    "doc_to_target": "answer",
}
WRITE: dict[str, Any] = {
    "task": "own_write",
    "dataset_path": "org/own",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_target": "{{said}}",
}
ROWS: list[dict[str, Any]] = [
    {"question": f"Which is {name}?", "options": ["red", "blue", "green"], "answer": place, "said": name,
     "names": [name, name.upper()], "letter": "ABC"[place], "with space": name}
    for place, name in enumerate(["red", "blue", "green"])
] * 2  # fmt: skip


@pytest.fixture(autouse=True)
def no_mirror(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_mirror" not in request.fixturenames:
        monkeypatch.delenv("EVALHARNESS_DATA", raising=False)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    for split in ("test", "train"):
        write_split(tmp_path / "mirror", f"org/own/default/{split}", ROWS)
    return tmp_path / "mirror"


def written(folder: Path, values: Mapping[str, Any], name: str = "theirs.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    return path


def converted(folder: Path, values: Mapping[str, Any], mirror: Path | None = None) -> Converted:
    return convert(written(folder, values), settings=SourceSettings(data_dir=mirror, hub=False))


def cell_of(folder: Path, found: Converted, mirror: Path) -> Cell:
    path = folder / f"{found.name}.yaml"
    path.write_text(text_of(found), encoding="utf-8")
    (cell,) = plan(RunOptions(task=(str(path),), data_dir=mirror))
    return cell


def reasons(folder: Path, values: Mapping[str, Any], mirror: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(NotCarriedError) as refused:
        converted(folder, values, mirror)
    return tuple(reason.removeprefix(f"{folder}/theirs.yaml: ") for reason in refused.value.reasons)


# --------------------------------------------------------------------------- what becomes of a field


def test_choices(tmp_path: Path, mirror: Path) -> None:
    found = converted(tmp_path, {**CHOICE, "num_fewshot": 1, "fewshot_config": {"sampler": "first_n"}}, mirror)
    definition = found.definition
    assert definition["data"] == {"hub": "org/own", "split": "test"}
    assert definition["demonstrations"] == {"shots": 1, "policy": "first_n", "split": "train"}
    assert definition["choices"] == {"texts": "{{ options }}", "gold": "{{ answer }}", "count": "varies"}
    assert definition["metrics"] == ["acc", "acc_norm"]
    assert found.notes == ()
    cell = cell_of(tmp_path, found, mirror)
    asked = asked_of(cell, cell.samples[1])
    assert asked.context == "Question: Which is red?\nAnswer: red\n\nQuestion: Which is blue?\nAnswer:"
    assert asked.continuations == (" red", " blue", " green")


@pytest.mark.parametrize(
    ("target", "gold"),
    [
        ("answer", "{{ answer }}"),
        ("{{answer}}", "{{ (answer) | int }}"),
        ("{{['red', 'blue', 'green'].index(said)}}", "{{ (['red', 'blue', 'green'].index(said)) | int }}"),
        ("{{said}}", "{{ (options) | position_of(said) }}"),
        ("said", "{{ (options) | position_of(said) }}"),
        (2, "{{ 2 }}"),
        ("{% if answer == 0 %}red{% else %}{{said}}{% endif %}",
         '{{ (options) | position_of(("red" if answer == 0 else said)) }}'),
    ],
)  # fmt: skip
def test_the_right_choice(tmp_path: Path, mirror: Path, target: Any, gold: str) -> None:
    found = converted(tmp_path, {**CHOICE, "doc_to_target": target}, mirror)
    assert found.definition["choices"]["gold"] == gold
    cell = cell_of(tmp_path, found, mirror)
    positions = [cell.task.renderer.reference(sample).target for sample in cell.samples[:3]]
    assert positions == ([2, 2, 2] if target == 2 else [0, 1, 2])


def test_several_right_choices(tmp_path: Path, mirror: Path) -> None:
    found = converted(tmp_path, {**CHOICE, "doc_to_target": "{{[answer]}}"}, mirror)
    assert found.definition["choices"]["golds"] == "{{ [answer] }}"


def test_without_rows_it_says_what_it_takes_to_be_so(tmp_path: Path) -> None:
    found = converted(tmp_path, CHOICE)
    assert found.definition["choices"]["gold"].startswith("{{ (answer) | int if ")
    assert "doc_to_target: 'answer' is taken to be a column." in found.notes
    assert "doc_to_target: one choice is taken to be right, named by its position or its text." in found.notes
    assert "# doc_to_target: 'answer' is taken to be a column.\n" in text_of(found)
    text = converted(tmp_path, WRITE)
    assert text.definition["target"] == "{{said}}"
    assert text.notes == ("doc_to_target: it is taken to yield one text, and not a list of right ones.",)


def test_written_choices_are_no_templates(tmp_path: Path, mirror: Path) -> None:
    found = converted(tmp_path, {**CHOICE, "doc_to_choice": ["{a}", "b", "c"], "target_delimiter": ""}, mirror)
    assert found.definition["choices"]["texts"] == ['{{ "{a}" }}', "b", "c"]
    cell = cell_of(tmp_path, found, mirror)
    assert asked_of(cell, cell.samples[0]).continuations == ("{a}", "b", "c")
    named = converted(tmp_path, {**CHOICE, "doc_to_choice": {"x": "no", "y": "yes", "z": "so"}}, mirror)
    assert named.definition["choices"]["texts"] == ["no", "yes", "so"]


def test_generation(tmp_path: Path, mirror: Path) -> None:
    values = {
        **WRITE,
        "doc_to_target": "names",
        "generation_kwargs": {"until": "\n", "max_gen_toks": 9, "do_sample": True, "temperature": 0.5, "top_k": 4},
        "filter_list": [
            {"name": "strict", "filter": [{"function": "regex", "regex_pattern": "([a-z]+)"}]},
            {"name": "loose", "filter": [{"function": "lowercase"}, {"function": "take_first"}]},
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, "ignore_case": True,
                         "ignore_punctuation": False}],
    }  # fmt: skip
    found = converted(tmp_path, values, mirror).definition
    assert found["target"] == {"any_of": "{{ names }}"}
    assert found["decode"] == {"max_tokens": 9, "stop": ["\n"], "temperature": 0.5, "top_k": 4}
    assert [metric["label"] for metric in found["metrics"]] == ["exact_match,strict", "exact_match,loose"]
    assert found["metrics"][0]["ignore_case"] is True
    assert "ignore_punctuation" not in found["metrics"][0]
    usual = converted(tmp_path, {**WRITE, "fewshot_delimiter": "\n"}, mirror).definition
    assert usual["decode"] == {"max_tokens": 256, "stop": ["\n"]}
    assert usual["prompt"]["separator"] == "\n"
    assert [metric["label"] for metric in usual["metrics"]] == ["exact_match"]


def test_votes_are_self_consistency(tmp_path: Path, mirror: Path) -> None:
    votes = [{"name": "vote", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]}]
    drawn = {"do_sample": True, "temperature": 0.2, "until": ["\n"]}
    found = converted(tmp_path, {**WRITE, "repeats": 8, "filter_list": votes, "generation_kwargs": drawn}, mirror)
    assert found.definition["elicitation"] == {
        "method": "self_consistency", "samples": 8, "temperature": 0.2, "top_k": 0
    }  # fmt: skip
    once = converted(tmp_path, {**WRITE, "repeats": 8}, mirror)
    assert once.definition["elicitation"] == {"method": "direct"}
    assert "repeats: only the first text of a sample is scored there, so one is asked for here." in once.notes


def test_a_continuation_follows_the_context_as_it_is(tmp_path: Path, mirror: Path) -> None:
    values = {**WRITE, "output_type": "loglikelihood", "doc_to_target": "{{' ' + said}}", "num_fewshot": 1,
              "fewshot_split": "train", "fewshot_config": {"sampler": "first_n"}}  # fmt: skip
    cell = cell_of(tmp_path, converted(tmp_path, values, mirror), mirror)
    asked = asked_of(cell, cell.samples[1])
    assert asked.context == "Q: Which is red?\nA:  red\n\nQ: Which is blue?\nA:"
    assert asked.continuations == (" blue",)
    assert [metric.name for metric in cell.task.metrics] == ["perplexity", "acc"]


def test_a_document(tmp_path: Path, mirror: Path) -> None:
    values = {**WRITE, "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "question"}
    found = converted(tmp_path, values, mirror).definition
    assert found["document"] == {"text": "{{ question }}"}
    assert found["metrics"] == ["word_perplexity", "byte_perplexity", "bits_per_byte"]
    assert "demonstrations" not in found


def test_first_words_of_the_answer(tmp_path: Path, mirror: Path) -> None:
    values = {**WRITE, "gen_prefix": "It is", "num_fewshot": 1, "fewshot_split": "train",
              "fewshot_config": {"sampler": "first_n"}}  # fmt: skip
    cell = cell_of(tmp_path, converted(tmp_path, values, mirror), mirror)
    expected = "Q: Which is red?\nA: It is red\n\nQ: Which is blue?\nA: It is"
    assert asked_of(cell, cell.samples[1]).context == expected
    bare = converted(tmp_path, {**values, "doc_to_text": "{{question}} "}, mirror)
    cell = cell_of(tmp_path, bare, mirror)
    assert asked_of(cell, cell.samples[1]).context == "Which is red? It is red\n\nWhich is blue? It is"
    open_end = converted(tmp_path, {**values, "doc_to_text": "{{question}}"}, mirror)
    cell = cell_of(tmp_path, open_end, mirror)
    assert asked_of(cell, cell.samples[1]).context == "Which is red? It is red\n\nWhich is blue? It is"


def test_written_demonstrations(tmp_path: Path, mirror: Path) -> None:
    values = {
        **WRITE,
        "doc_to_target": "{{said.upper() if said is defined else told}}",
        "num_fewshot": 1,
        "fewshot_config": {"sampler": "first_n", "samples": [{"question": "And so?", "told": "so it is"}]},
    }
    found = converted(tmp_path, values, mirror)
    assert found.definition["target"].strip() == "{{ said.upper() }}"
    cell = cell_of(tmp_path, found, mirror)
    asked = asked_of(cell, cell.samples[0])
    assert asked.context == "Q: And so?\nA: so it is\n\nQ: Which is red?\nA:"
    assert cell.task.renderer.reference(cell.samples[0]).target == "RED"


def test_local_files(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    files = dict.fromkeys(("test", "train"), str(tmp_path / "rows.jsonl"))
    values = {**CHOICE, "dataset_path": "json", "num_fewshot": 2, "dataset_kwargs": {"data_files": files}}
    found = converted(tmp_path, values)
    assert found.definition["data"] == {"file": str(tmp_path / "rows.jsonl"), "split": "test"}
    assert found.definition["demonstrations"]["file"] == str(tmp_path / "rows.jsonl")
    assert found.notes == ()


def test_includes_are_put_together(tmp_path: Path) -> None:
    written(tmp_path, {"test_split": "test", "doc_to_text": "below", "task_list": [1]}, "_base_yaml")
    written(tmp_path, {"include": "_base_yaml", "doc_to_text": "between"}, "_middle_yaml")
    path = written(tmp_path, {"include": ["_middle_yaml"], "task": "own"})
    assert read_lm_eval_yaml(path) == {"test_split": "test", "doc_to_text": "between", "task": "own"}


# --------------------------------------------------------------------------- what cannot be carried


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"process_results": "x"}, "process_results: the answers are scored by code."),
        ({"use_prompt": "promptsource:*"}, "use_prompt: the prompt stands in another package (promptsource)."),
        ({"doc_to_image": "picture"}, "doc_to_image: pictures cannot be asked about."),
        ({"unsafe_code": True}, "unsafe_code: the model's code would be executed."),
        ({"task": ["a", "b"]}, "task: it is a group of tasks; import the files of its tasks one by one."),
        ({"output_type": "guess"}, "output_type: 'guess' is none of multiple_choice, loglikelihood"),
        ({"metric_list": [{"metric": "f1"}]}, "metric_list: there is no counterpart of the metric 'f1' of multiple"),
        ({"metric_list": [{"metric": "acc", "aggregation": "median"}]}, "metric_list: acc is aggregated by 'median'"),
        ({"doc_to_text": "{{question | regex_replace('a', 'b')}}"}, "doc_to_text: the template"),
        ({"doc_to_target": "{% for x in options %}{{x}}{% endfor %}"}, "doc_to_target: the template has the statement"),
        ({"doc_to_text": "{{no_such}}"}, "the task that came of it fails"),
        ({"doc_to_text": "with space"}, "doc_to_text: the column 'with space' has a name that no template can say."),
        ({"doc_to_text": "{{answer}}"}, "doc_to_text: it yields the position of a choice"),
        ({"test_split": None}, "test_split: neither test_split nor validation_split names a whole split"),
        ({"dataset_path": "/here/loader.py"}, "dataset_path: '/here/loader.py' is neither a data set of the hub"),
        ({"dataset_kwargs": {"data_dir": "x"}}, "dataset_kwargs: there is no counterpart of 'data_dir'."),
        ({"dataset_kwargs": {"data_files": "x"}}, "dataset_kwargs: data_files of a data set of the hub cannot be"),
        ({"fewshot_config": {"sampler": "balanced"}}, "fewshot_config: there is no counterpart of the sampler 'bal"),
        (
            {"num_fewshot": 2, "fewshot_config": {"doc_to_text": "{{said}}"}},
            "fewshot_config: demonstrations have a doc_to_text of their own.",
        ),
        ({"speling": 1}, "speling: lm-eval has no such key."),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(tmp_path: Path, mirror: Path, change: dict[str, Any], told: str) -> None:
    found = reasons(tmp_path, {**CHOICE, **change}, mirror)
    assert any(reason.startswith(told) for reason in found), found


def _filtered(name: str) -> dict[str, Any]:
    return {"filter_list": [{"name": "x", "filter": [{"function": name}]}]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metric_list": [{"metric": "bleu"}]}, "metric_list: there is no counterpart of the metric 'bleu'"),
        ({"generation_kwargs": {"num_beams": 4}}, "generation_kwargs: there is no counterpart of 'num_beams'."),
        (_filtered("format_span"), "filter_list: filter 1: unknown filter 'format_span'"),
        (_filtered("multi_choice_regex"), "filter_list: multi_choice_regex reads the column"),
    ],
)
def test_what_cannot_be_generated_is_named(tmp_path: Path, mirror: Path, change: dict[str, Any], told: str) -> None:
    found = reasons(tmp_path, {**WRITE, **change}, mirror)
    assert any(reason.startswith(told) for reason in found), found


def test_code_is_named_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(
        "task: own\nprocess_docs: !function utils.drop_everything\nmetric_list:\n  - metric: !function utils.own\n"
    )
    (tmp_path / "utils.py").write_text("raise SystemExit('it was run')\n")
    told = said("import", "task", path)
    assert told.code == 65
    assert told.err.splitlines() == [
        f"evalharness: {path}: process_docs: !function utils.drop_everything: the rows are changed by code before "
        "anything is asked.",
        f"evalharness: {path}: metric_list: !function utils.own: it is code.",
    ]


def test_files_that_are_no_tasks(tmp_path: Path) -> None:
    said("import", "task", tmp_path / "none.yaml").refused(65, "cannot be read")
    path = tmp_path / "theirs.yaml"
    path.write_text("task: [a\n")
    said("import", "task", path).refused(65, "theirs.yaml:2", "not valid YAML")
    path.write_text("- a\n")
    said("import", "task", path).refused(65, "a task of lm-eval is a mapping")
    path.write_text("include: theirs.yaml\ntask: own\n")
    said("import", "task", path).refused(65, "its include leads back to itself")
    path.write_text("include: nowhere.yaml\ntask: own\n")
    said("import", "task", path).refused(65, "nowhere.yaml: cannot be read")


def test_the_command(tmp_path: Path, mirror: Path) -> None:
    path, to = written(tmp_path, CHOICE), tmp_path / "tasks" / "mine.yaml"
    printed = said("import", "task", path, "--data-dir", mirror).done()
    assert yaml.safe_load(printed.out)["name"] == "own_choice"
    told = said("import", "task", path, "--data-dir", mirror, "--to", to).done()
    assert told.out.startswith(f"wrote {to}\nnext: evalharness tasks show {to}\n")
    assert yaml.safe_load(to.read_text())["name"] == "mine"
    assert "Question: Which is red?" in said("tasks", "show", to, "--data-dir", mirror).done().out
    said("import", "task", path, "--to", to).refused(64, "there already")
    said("import", "task", path, "--to", tmp_path / "mine.json").refused(64, "a task file ends in .yaml")


# --------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ a }}", "a"),
        ("x {{ a }}", '("x ") ~ (a)'),
        ("", '""'),
        ("{% if a %}b{% elif c %}{{ d }}{% else %}e{% endif %}", '("b" if a else (d if c else "e"))'),
        ("{# note #}{{ a[0] }}", "a[0]"),
        ('é "q" \\ {{ a }}', '("é \\"q\\" \\\\ ") ~ (a)'),
    ],
)
def test_templates_as_expressions(source: str, found: str) -> None:
    assert expression(source) == found


def test_other_statements_are_no_expressions() -> None:
    with pytest.raises(NoExpressionError, match="set"):
        expression("{% set x = 1 %}{{ x }}")


def test_conditions_that_are_known() -> None:
    known = {"a": True, "b": False}.get
    assert settled("{{ a.x if a is defined else b }} y", known) == "{{ a.x }} y"
    assert settled("{{ a if b is defined else (c if d else e) }}", known) == "{{ (c if d else e) }}"
    assert settled("{{ a if a is not defined else b }}", known) == "{{ b }}"
    assert settled("{{ x if b is defined }}", known) == '{{ "" }}'
    for unchanged in ("{{ a if c is defined else b }}", "{{ a if a else b }}", "{{ f(a if a is defined else b) }}"):
        assert settled(unchanged, known) == unchanged


@pytest.mark.parametrize("text", ["plain", "{{ a }}", "{% if %}", '{"a": "b\\n"}', "é {"])
def test_a_constant_renders_to_itself(text: str) -> None:
    from evalharness.prompting.templates import Template

    assert Template(constant(text), "here")({}) == text


# --------------------------------------------------------------------------- lm-eval's own files

COUNT, SEED, DOCUMENTS = 30, 20, 3


@pytest.fixture(scope="module")
def real_mirror() -> Path:
    import os

    named = os.environ.get("EVALHARNESS_DATA")
    if not named:
        pytest.skip("needs EVALHARNESS_DATA: a mirror of the real benchmarks")
    folder = Path(named)
    return folder / "mirror" if (folder / "mirror").is_dir() else folder


@pytest.mark.timeout(900)
def test_files_of_lm_eval_ask_the_same(real_mirror: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="needs lm-eval")
    from tasks.lm_eval_files import candidates, chosen

    found = candidates(real_mirror)
    told: dict[str, list[str]] = {"equal": [], "not carried": [], "differs": []}
    for path in chosen(found, COUNT, SEED):
        verdict, why = tried(path, found[path], real_mirror, tmp_path)
        told[verdict].append(f"{path.parent.name}/{path.name}{why}")
    for verdict, files in told.items():
        print(f"{verdict}: {len(files)}", *files, sep="\n  ")
    assert sum(map(len, told.values())) == COUNT
    assert not told["differs"], told["differs"]
    assert len(told["equal"]) > COUNT / 2


def tried(path: Path, values: Mapping[str, Any], real_mirror: Path, folder: Path) -> tuple[str, str]:
    """Whether both sides ask the same of the first documents, and why not."""
    from tasks.lm_eval_files import ROWS as MOST
    from tasks.lm_eval_files import evaluated, split_file, theirs

    mirror = folder / f"{path.parent.name}-{path.stem}"
    first = evaluated(real_mirror, values)
    assert first is not None
    fewshot = values.get("fewshot_config") or {}
    names = [values.get(f"{name}_split") for name in ("test", "validation", "training", "fewshot")]
    splits = {}
    for split in {name for name in [*names, fewshot.get("split")] if name}:
        file = split_file(real_mirror, values, split) or first  # any rows of these columns do for a pool
        place = file.relative_to(real_mirror).as_posix().removesuffix(".jsonl.gz")
        splits[split] = read_split(real_mirror, place)[:MOST]
        folder_of = f"{values['dataset_path']}/{values.get('dataset_name') or 'default'}"
        write_split(mirror, f"{folder_of}/{split}", splits[split])
    try:
        found = convert(path, settings=SourceSettings(data_dir=mirror, hub=False))
    except NotCarriedError as refused:
        return "not carried", f": {' '.join(refused.reasons)}"
    cell = cell_of(folder, found, mirror)
    for sample, asked in zip(cell.samples, theirs(path, splits, DOCUMENTS), strict=False):
        ours = asked_of(cell, sample)
        if ours != asked:
            return "differs", f": sample {sample.id}: {ours!r:.600} where lm-eval asks {asked!r:.600}"
    return "equal", ""
