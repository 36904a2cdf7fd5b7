"""The recipes of pretraining: their YAMLs are read, and their scripts go the whole way with a few steps.

Whether a model of them learns what it should takes minutes, and is a long test.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from e2e.command import CLONE, environment, said

pytest.importorskip("torch", "2.9", reason="the recipes train by Muon, which torch has since 2.9")

RECIPES = CLONE / "examples"
TRAININGS = sorted(RECIPES.glob("*/train*.yaml"))
CORPORA = sorted(RECIPES.glob("*/*corpus.yaml"))
TASKS = sorted(RECIPES.glob("*/held_out.yaml"))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


class Recipe:
    """Runs the scripts of a recipe in this process, where each import of torch is paid once."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture, self._patch = capture, patch

    def module(self, script: str) -> ModuleType:
        """A script as a module, with those beside it where it looks for them."""
        path = RECIPES / script
        for beside in path.parent.glob("*.py"):
            self._patch.delitem(sys.modules, beside.stem, raising=False)
        self._patch.syspath_prepend(path.parent)
        # Not by its plain name: `inspect` remembers files by names of modules, and a folder of tests is called `run`.
        name = f"recipe_{path.parent.name}_{path.stem}"
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        self._patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def __call__(self, script: str, *arguments: object) -> str:
        """What a script says."""
        from evalharness.run.unchanged import unchanged

        def command(*typed: object) -> None:
            # A training makes torch deterministic, which the process of a script would end with.
            with unchanged():
                print(said(*typed).done().out)

        module = self.module(script)
        self._patch.setattr(module, "command", command)
        self._patch.setattr(sys, "argv", [script, *map(str, arguments)])
        module.main()
        return self._capture.readouterr().out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recipe(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Recipe:
    return Recipe(capsys, monkeypatch)


def ran(folder: Path, script: str, *arguments: object) -> str:
    """What a script says in a process of its own, in `folder`."""
    command = [sys.executable, RECIPES / script, *map(str, arguments)]
    ended = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def lines(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text().splitlines())


# --------------------------------------------------------------------------- their YAMLs


def test_all_are_here() -> None:
    assert list(map(name, TRAININGS)) == [
        "books/train",
        "gpt2-124m/train",
        "llama-1b/train",
        "shakespeare/train",
        "tiny-symbolic/train-encoder-decoder",
        "tiny-symbolic/train-experts",
        "tiny-symbolic/train",
    ]
    assert len(CORPORA) == 5
    assert len(TASKS) == 2


@pytest.mark.parametrize("path", TRAININGS, ids=name)
def test_a_training_is_read(path: Path) -> None:
    from evalharness.cli.pretrain import read_options
    from evalharness.stack.training.groups import group_parameters
    from evalharness.stack.training.schedules import check_batch, rate_factor

    options, _ = read_options(path, [])
    check_batch(options.batch, 1)
    assert 0 < rate_factor(options.schedule, 0, options.steps) <= 1
    config = options.model.to_config(257, options.data.context, None, (256,))
    assert len(group_parameters(parameters(config), options.optimizer)) == len(options.optimizer)


def parameters(config: Any) -> Iterator[tuple[str, Any]]:
    """Of a model without numbers."""
    import torch

    from evalharness.stack.training.models import shaped

    with torch.device("meta"):
        return shaped(config).named_parameters()


def test_gpt2_has_the_parameters_of_its_name() -> None:
    from evalharness.cli.pretrain import read_options

    options, _ = read_options(RECIPES / "gpt2-124m/train.yaml", [])
    config = options.model.to_config(50_257, options.data.context, None, ())
    assert sum(each.numel() for _, each in parameters(config)) == pytest.approx(124e6, rel=0.005)


@pytest.mark.parametrize("path", [path for path in TRAININGS if "evaluation" in path.read_text()], ids=name)
def test_an_evaluation_is_read(path: Path) -> None:
    from evalharness.cli.pretrain_evaluation import EvaluationOptions
    from evalharness.options import parse_options
    from evalharness.run.training_evaluation import EvaluatedTask

    section = yaml.safe_load(path.read_text())["evaluation"]
    options = parse_options(EvaluationOptions, section, str(path))
    steps = yaml.safe_load(path.read_text())["steps"]
    assert steps % options.every == 0
    for entry in options.tasks:
        assert isinstance(entry, EvaluatedTask)


@pytest.mark.parametrize("path", CORPORA, ids=name)
def test_a_corpus_is_read(path: Path) -> None:
    from evalharness.options import parse_options
    from evalharness.stack.corpus.options import PipelineOptions

    options = parse_options(PipelineOptions, yaml.safe_load(path.read_text()), str(path))
    assert (path.parent / "train.yaml").is_file()
    assert options.output in (path.parent / "train.yaml").read_text()


# --------------------------------------------------------------------------- tiny-symbolic


def test_tiny_symbolic_from_texts_to_the_table(recipe: Recipe, here: Path) -> None:
    few = ("--documents", 100, "--limit", 5, "--set", "steps=2", "--set", "schedule.warmup=1")
    told = recipe("tiny-symbolic/run.py", *few, "--set", "evaluation.limit=2", "--set", "batch.sequences=2")
    assert told.count("names in both: 0") == 2
    table = json.loads((here / "runs/tiny-symbolic/table.json").read_text())
    assert [row["n"] for row in table] == [5] * 6
    assert (table[0]["task"], table[0]["questions"]) == ("coin_flip", "two people")
    assert 0 <= table[0]["model"] <= 1
    assert table[0]["length table"] == 1.0, "the number of words gives the number of flips away"
    assert table[3]["look-up table"] < 0.5
    assert "| last_letter_concatenation | four words | 5 |" in told
    assert ">coin_flip:four_people</text>" in (here / "runs/tiny-symbolic/curve.svg").read_text()


@pytest.mark.parametrize("variant", ["experts", "encoder-decoder"])
def test_a_variant_of_tiny_symbolic_has_files_of_its_own(recipe: Recipe, here: Path, variant: str) -> None:
    few = (
        "--documents",
        20,
        "--limit",
        1,
        "--set",
        "steps=2",
        "--set",
        "schedule.warmup=1",
        "--set",
        "evaluation=null",
    )
    told = recipe("tiny-symbolic/run.py", "--train", f"train-{variant}.yaml", *few, "--set", "batch.sequences=2")
    table = json.loads((here / f"runs/tiny-symbolic/table-{variant}.json").read_text())
    assert [row["n"] for row in table] == [1] * 6
    assert (here / f"runs/tiny-symbolic/training-{variant}/log.jsonl").is_file()
    assert ("| block | step | expert 0 | expert 1 | expert 2 | expert 3 |" in told) == (variant == "experts")


def test_no_name_to_learn_is_one_of_the_tests(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script looks itself; here it is made to find one."""
    texts = recipe.module("tiny-symbolic/texts.py")
    monkeypatch.setattr(texts, "_made_up", lambda stream: "Aaron")
    with pytest.raises(SystemExit, match="names to train on are those of the test: Aaron"):
        texts.write(Path("texts"), 3)


def test_texts_are_asked_as_the_tasks_ask(recipe: Recipe) -> None:
    """A document is what a model is asked, and the answer behind it."""
    texts = recipe.module("tiny-symbolic/texts.py")
    for task in texts.TASKS:
        row = texts.tested(task, "test")[0]
        prompt = row.document.removesuffix(f" The answer is {row.answer}.")
        shown = said("tasks", "show", task, "--method", "direct", "--shots", 0).done().out
        assert f"\n{prompt}\nright answer\n'{row.answer}'\n" in shown


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_tiny_symbolic_learns_and_drops_out_of_its_domain(tmp_path: Path) -> None:
    ran(tmp_path, "tiny-symbolic/run.py")
    table = json.loads((tmp_path / "runs/tiny-symbolic/table.json").read_text())
    scores = {(row["task"], row["questions"]): row["model"] for row in table}
    assert {row["n"] for row in table} == {1000}
    assert scores["coin_flip", "two people"] >= 0.9
    assert scores["last_letter_concatenation", "two words"] >= 0.9
    for longer, most in (("people", 0.7), ("words", 0.2)):
        task = "coin_flip" if longer == "people" else "last_letter_concatenation"
        assert max(scores[task, f"{count} {longer}"] for count in ("three", "four")) < most
    rows = list(lines(tmp_path / "runs/tiny-symbolic/training/evaluations.jsonl"))
    first, last = (
        row["tasks"]["last_letter_concatenation"]["metrics"]["exact_match"]["value"] for row in (rows[0], rows[-1])
    )
    assert first < 0.2 < 0.9 <= last


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("variant", ["experts", "encoder-decoder"])
def test_a_variant_of_tiny_symbolic_learns(tmp_path: Path, variant: str) -> None:
    ran(tmp_path, "tiny-symbolic/run.py", "--train", f"train-{variant}.yaml")
    table = json.loads((tmp_path / f"runs/tiny-symbolic/table-{variant}.json").read_text())
    scores = {row["questions"]: row["model"] for row in table}
    assert min(scores["two people"], scores["two words"]) >= 0.9


# --------------------------------------------------------------------------- books, shakespeare


PARAGRAPH = (
    "The {0} of the {1} went down to the harbour in the morning, and there they had to wait for the boat that was to "
    "take them, with all of the {0}, to the other side. It was {2} days before the wind turned, and that was the time "
    "in which the {1} learned to have patience with the {0}.\n\n"
)


def book(number: int) -> str:
    """Own words, enough of them that Gopher's rules find nothing."""
    nouns = ("keeper", "miller", "teacher", "baker", "sailor", "doctor", "farmer", "singer", "painter", "mason")
    return "".join(
        PARAGRAPH.format(nouns[(number + at) % 10], nouns[(3 * number + 2 * at + 1) % 10], number * 40 + at)
        for at in range(30)
    )


def test_books_from_a_folder_to_bits_per_byte(recipe: Recipe, here: Path) -> None:
    (here / "texts").mkdir()
    for number in range(5):
        (here / f"texts/book-{number}.txt").write_text(book(number))
    (here / "texts/copy.txt").write_text(book(1) + "\n")
    few = ("--vocab-size", 300, "--set", "steps=2", "--set", "schedule.warmup=1", "--set", "batch.sequences=2",
           "--set", "evaluation.limit=2", "--set", "model.layers=1")  # fmt: skip
    told = recipe("books/run.py", "--texts", "texts", *few)
    folder = here / "runs/books"
    assert "held out, 2 passages: " in told
    assert " bits a byte, 95 %: " in told
    facts = json.loads((folder / "corpus/corpus.json").read_text())["sources"]
    assert facts["held_out"]["documents"] == 1
    assert facts["learned"]["documents"] == 4, "the copy of a book must not be learned twice"
    assert any("validation_loss" in line for line in lines(folder / "training/log.jsonl"))
    # Again, as after a kill: nothing is done twice.
    before = (folder / "training/log.jsonl").read_bytes()
    recipe("books/run.py", "--texts", "texts", *few)
    assert (folder / "training/log.jsonl").read_bytes() == before


def test_one_text_is_too_few(recipe: Recipe, here: Path) -> None:
    (here / "texts").mkdir()
    (here / "texts/book.txt").write_text(book(0))
    with pytest.raises(SystemExit, match="texts: holds one text; two or more are needed, since one is held out"):
        recipe("books/run.py", "--texts", "texts")


def test_shakespeare_from_a_text_to_a_sample(recipe: Recipe, here: Path) -> None:
    (here / "text.txt").write_text("".join(map(book, range(3))))
    few = ("--set", "steps=2", "--set", "schedule.warmup=1", "--set", "batch.sequences=2", "--set", "model.layers=1",
           "--set", "evaluation.limit=1")  # fmt: skip
    told = recipe("shakespeare/run.py", "--texts", "text.txt", "--prompt", "The keeper", *few)
    assert "held out, 1 passages: " in told
    assert "\nThe keeper" in told
