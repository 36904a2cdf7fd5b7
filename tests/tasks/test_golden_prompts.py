"""The prompts of every task's `default` protocol, as a model is given them, compared to the letter.

Each file of ``golden/`` shows the task's first three example rows; ``NAME.PROTOCOL.txt`` those of a further protocol.
After a deliberate change write them anew:

    EVALHARNESS_REGENERATE=1 python -m pytest tests/tasks/test_protocol_hash.py tests/tasks/test_golden_prompts.py
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from parity.ours import Listener

from evalharness.elicitation.base import Ask
from evalharness.prompting.prompter import Prompter
from evalharness.registry import task_files
from evalharness.run.sandboxes import Idle
from evalharness.tasks.files import read_yaml
from evalharness.tasks.protocol_hash import SYNTHETIC_SHOTS, synthetic_samples
from evalharness.tasks.task import DEFAULT, Task, load_task
from evalharness.types import GenerateRequest, Request, Sample, ScoreRequest

GOLDEN = Path(__file__).parent / "golden"
SHIPPED = sorted(name for name, path in task_files().items() if "suite" not in read_yaml(path))
FURTHER = [
    "apps.bigcode",
    "arc_challenge.designed",
    "arc_challenge.simple",
    "arc_challenge.survey",
    "bigbench_qa_wikidata.designed",
    "bigbench_qa_wikidata.simple",
    "bigbench_qa_wikidata.survey",
    "crows_pairs.survey-api",
    "gsm8k.designed",
    "gsm8k.pal",
    "gsm8k.pot",
    "gsm8k.pot-zero-shot",
    "gsm8k.react",
    "gsm8k.simple",
    "gsm8k.survey",
    "halueval_qa.halueval",
    "hellaswag.survey",
    "hendrycks_math.survey",
    "humaneval.survey",
    "humaneval.survey-open",
    "lambada_openai.corrected",
    "lambada_openai.survey",
    "nq_open.open-book",
    "openbookqa.designed",
    "openbookqa.simple",
    "openbookqa.survey",
    "penguins_in_a_table.survey",
    "real_toxicity_prompts.survey",
    "reasoning_about_colored_objects.designed",
    "reasoning_about_colored_objects.simple",
    "reasoning_about_colored_objects.survey",
    "social_iqa.survey",
    "winogender.survey",
    "wmt22.designed",
    "wmt22.simple",
    "wmt22.survey",
    "xsum.designed",
    "xsum.simple",
    "xsum.survey",
    "xsum.survey-open",
]
RULE = "-" * 40


@pytest.mark.parametrize("name", SHIPPED + FURTHER)
def test_golden(name: str) -> None:
    stem, _, protocol = name.partition(".")
    path, shown = GOLDEN / f"{name}.txt", _shown(load_task(stem, protocol=protocol or DEFAULT))
    if "EVALHARNESS_REGENERATE" in os.environ:
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(SHIPPED + FURTHER)


def _shown(task: Task) -> str:
    """The requests for three example rows, the next ones standing in as demonstrations."""
    samples = synthetic_samples(task)[:3]
    shots = min(task.definition.demonstrations.shots, SYNTHETIC_SHOTS)
    parts = []
    for number, sample in enumerate(samples):
        others = [samples[(number + 1 + step) % len(samples)] for step in range(shots)]
        parts.append(_requests(_asked(task, sample, others)))
    return f"\n{RULE}\n".join(parts) + "\n"


def _asked(task: Task, sample: Sample, demonstrations: list[Sample]) -> list[Request]:
    listener = Listener()
    ask = Ask(
        task=task.name,
        sample=sample,
        reference=task.renderer.reference(sample),
        demonstrations=demonstrations,
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=None, max_length=None),
        waves=listener,
        sampling=task.sampling,
        sandbox=Idle(),
    )
    asyncio.run(task.method.run(ask, task.method_options))  # type: ignore[arg-type]
    return listener.requests


def _requests(requests: list[Request]) -> str:
    """A bar marks where the prompt ends, and each of its continuations, so that spaces can be seen."""
    first = requests[0]
    if isinstance(first, ScoreRequest):
        scored = [request for request in requests if isinstance(request, ScoreRequest)]
        if len({request.context.text for request in scored}) > 1:
            return "\n".join(f"{request.context.text}|{request.continuation}|" for request in scored)
        return "|".join([first.context.text, *(request.continuation for request in scored), ""])
    generated = [request for request in requests if isinstance(request, GenerateRequest)]
    shown = generated[:1] if first.continues else generated  # of a loop the first turn, of a judgement both orders
    return "\n".join(
        f"{each.prompt.text}|\n{each.sampling.max_tokens} tokens, until {list(each.sampling.stop)}" for each in shown
    )
