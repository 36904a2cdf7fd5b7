"""PAL and program of thoughts ask what their own scripts ask, byte for byte, with the worked questions of their files.

Their text is not ours to keep: the tests read the published files where they lie below ``extra/``.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
from parity import ours

PAL, POT = "pal/math_prompts.py", "program_of_thoughts/run_gsm8k.py"
QUESTIONS = ("How many eggs lay 3 hens?", "Zoë's {half} of 7\nis {{ what }}? ", "")
PLACE = "openai/gsm8k/main"


@pytest.fixture
def extra(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder that holds the published files, beside a mirror with our questions."""
    real = request.getfixturevalue("real_mirror")
    missing = [path for path in (PAL, POT) if not (real.parent / "extra" / path).is_file()]
    if missing:
        pytest.skip(f"needs the published file extra/{missing[0]}")
    for path in (PAL, POT):
        (tmp_path / "extra" / path).parent.mkdir(parents=True)
        shutil.copyfile(real.parent / "extra" / path, tmp_path / "extra" / path)
    rows = [{"question": question, "answer": "#### 1"} for question in QUESTIONS]
    ours.write_split(tmp_path / "mirror", f"{PLACE}/test", rows)
    return tmp_path / "extra"


def _prompt(file: Path, variable: str) -> str:
    """What the file assigns to a variable, computed from texts alone."""
    (value,) = [
        node.value
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == variable
    ]
    return str(eval(compile(ast.Expression(value), str(file), "eval"), {"__builtins__": {}}))


def _asked(extra: Path, protocol: str, **options: Any) -> list[tuple[str, Any]]:
    cell = ours.cell("gsm8k", extra.parent / "mirror", protocol=protocol, **options)
    return [(asked.context, asked.generation) for asked in ours.asked(cell).values()]  # type: ignore[misc]


def test_pal(extra: Path) -> None:
    """``scripts/gsm_eval.py``: ``MATH_PROMPT.format(question=...)``, up to three line breaks, 512 tokens, greedy."""
    prompt = _prompt(extra / PAL, "MATH_PROMPT")
    decoding = {"max_gen_toks": 512, "until": ["\n\n\n"], "do_sample": False, "temperature": 0.0}
    assert _asked(extra, "pal") == [(prompt.format(question=question), decoding) for question in QUESTIONS]


def test_program_of_thoughts(extra: Path) -> None:
    """``run_gsm8k.py``: the prompt, an empty line, the question, up to an empty line, 256 tokens, greedy."""
    prompt = _prompt(extra / POT, "prompt")
    decoding = {"max_gen_toks": 256, "until": ["\n\n"], "do_sample": False, "temperature": 0.0}
    assert _asked(extra, "pot") == [
        (f"{prompt}\nQuestion: {question}\n# Python code, return ans\n", decoding) for question in QUESTIONS
    ]


@pytest.mark.parametrize(("protocol", "temperature"), [("pal", 0.7), ("pot", 0.4)])
def test_their_votes(extra: Path, protocol: str, temperature: float) -> None:
    cell = ours.cell("gsm8k", extra.parent / "mirror", protocol=protocol, limit=1, set={"elicitation": {"samples": 40}})
    (request,) = ours.requests(cell, cell.samples[0])
    assert (request.n, request.sampling.temperature, request.sampling.top_p) == (40, temperature, 1.0)  # type: ignore[union-attr]


def test_their_worked_questions_are_those_of_the_test_split(extra: Path, real_mirror: Path) -> None:
    """What the protocol declares: nine questions of program of thoughts are evaluated, too."""
    cell = ours.cell("gsm8k", real_mirror, protocol="pot")
    shown = [str(row.row["question"]) for row in cell.demonstrations(cell.samples[0])]
    rows = ours.read_split(real_mirror, f"{PLACE}/test")
    plain = {"".join(row["question"].split()): position for position, row in enumerate(rows)}
    assert len(shown) == 9
    assert sorted(plain["".join(question.split())] for question in shown) == [0, 1, 2, 4, 5, 12, 19, 97, 1001]
    cell = ours.cell("gsm8k", real_mirror, protocol="pal")
    assert not plain.keys() & {"".join(row.row["question"].split()) for row in cell.demonstrations(cell.samples[0])}
