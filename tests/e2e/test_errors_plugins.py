"""Plugins that are broken: named, with what is wrong, and without harm to what does not use them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from e2e.command import Process, Said, said
from e2e.rows import write_rows

MODULES = {
    "broken": "raise RuntimeError('the author made a mistake')\n",
    "absent": "import no_such_package_at_all\n",
    "empty": "",
    "odd": "Thing = 5\nclass Other: ...\n",
    "typo": "def f(:\n",
}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on the path of a process, brings every kind of broken plugin."""
    folder = tmp_path_factory.mktemp("plugins")
    for name, text in MODULES.items():
        (folder / f"plugin_{name}.py").write_text(text)
    facts = folder / "bad_plugins-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugins\nVersion: 1.0\n")
    kinds = ("parsers", "metrics", "methods", "backends", "generators")
    points = [
        f"[evalharness.{kind}]\n" + "".join(f"{name} = plugin_{name}:Thing\n" for name in MODULES) for kind in kinds
    ]
    (facts / "entry_points.txt").write_text("\n".join(points) + "\n[evalharness.tasks]\nlost = no_such_package\n")
    return folder


def run(here: Path, plugins: Path, *arguments: str, **changes: object) -> Said:
    write_rows(here / "own.jsonl", [{"question": f"{n}?", "answer": str(n)} for n in range(3)])
    definition = {
        "name": "own",
        "data": {"file": "own.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
        **changes,
    }
    (here / "own.yaml").write_text(yaml.safe_dump(definition))
    write_rows(here / "said.jsonl", [{"index": n, "completions": [str(n)]} for n in range(3)])
    model = () if "--model" in arguments else ("--model", "replay:said.jsonl")
    return Process(here, "run", "--task", "own.yaml", "--quiet", *model, *arguments, path=(plugins,)).wait()


def test_broken_plugins_harm_nobody_who_does_not_use_them(here: Path, plugins: Path) -> None:
    run(here, plugins).done()
    Process(here, "tasks", path=(plugins,)).wait().done()


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("broken", "RuntimeError: the author made a mistake"),
        ("absent", "no_such_package_at_all"),
        ("empty", "Thing"),
        ("odd", "odd"),
        ("typo", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("kind", ["parser", "metric", "method", "backend", "generator"])
def test_a_broken_plugin(kind: str, name: str, fragment: str, here: Path, plugins: Path) -> None:
    match kind:
        case "parser":
            told = run(here, plugins, answer={"parser": name})
        case "metric":
            told = run(here, plugins, metrics=[name])
        case "method":
            told = run(here, plugins, elicitation={"method": name})
        case "generator":
            told = run(here, plugins, data={"generator": name})
        case _:
            told = run(here, plugins, "--model", f"{name}:x")
    assert told.code in (65, 69), told.err
    told.refused(told.code, name, fragment)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("raise ValueError('no')\n", ["ValueError: no"]),
        ("def f(:\n", ["SyntaxError"]),
        ("x = 1\n", ["COMPONENTS"]),
        ("COMPONENTS = 5\n", ["COMPONENTS"]),
        ("COMPONENTS = {'parsr': {}}\n", ["unknown kind 'parsr'", "did you mean 'parser'?"]),
        ("COMPONENTS = {'parser': 5}\n", ["COMPONENTS"]),
        ("COMPONENTS = {'parser': {'number': int}}\n", ["'number' is built in"]),
        ("raise SystemExit(0)\n", ["SystemExit"]),
    ],
)
def test_a_broken_components_file(text: str, fragments: list[str], here: Path, fake: None) -> None:
    (here / "mine").mkdir()
    (here / "mine/components.py").write_text(text)
    told = said("run", "--task", "arc_easy", "--include", "mine", "--trust-code", "--model", "fake:", "--quiet")
    told.refused(65, "components.py", *fragments)


def test_a_component_of_the_wrong_class(here: Path) -> None:
    (here / "mine").mkdir()
    write_rows(here / "mine/own.jsonl", [{"question": "1?", "answer": "1"}])
    (here / "mine/components.py").write_text("COMPONENTS = {'parser': {'mine': int}}\n")
    (here / "mine/own.yaml").write_text(
        "name: own\ndata: {file: own.jsonl}\nprompt: {question: '{{ question }}'}\n"
        "target: '{{ answer }}'\nanswer: {parser: mine}\n"
    )
    told = said("run", "--task", "own", "--include", "mine", "--trust-code", "--quiet")
    told.refused(65, "the parser 'mine' is no Parser class")
