"""The engine on SmolLM2 and real prompts: equal bits whatever is computed together, and transformers' numbers.

Run with ``pytest -m long tests/parity/test_engine.py`` and EVALHARNESS_DATA (about ten minutes).
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from parity import ours

from evalharness.backends.stack import StackBackend, load
from evalharness.errors import ServiceError
from evalharness.stack.engine.cache import bytes_per_token
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Job, Kept, Sampling, ScoreJob
from evalharness.types import Request, ScoreRequest

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def backend() -> StackBackend:
    try:
        found = load("smollm2")
    except ServiceError as error:
        pytest.skip(str(error))
    found.warm()
    return found


@pytest.fixture(scope="module")
def model(backend: StackBackend) -> Any:
    return next(iter(backend._ready().values())).model


@pytest.fixture(scope="module")
def real(backend: StackBackend, real_mirror: Path) -> list[Request]:
    """Requests of three tasks: long shared preambles, short shared contexts, generations."""
    found: list[Request] = []
    for task, samples, options in (
        ("mmlu/astronomy", 14, {"protocol": "lm-eval", "shots": 5}),
        ("hellaswag", 10, {"protocol": "lm-eval"}),
        ("gsm8k", 5, {}),
    ):
        cell = ours.cell(task, real_mirror, **options)
        for sample in cell.samples[:samples]:
            found += ours.requests(cell, sample, backend.tokenizer)
    return found


DRAWS = (
    (Sampling(), 1),
    (Sampling(temperature=0.8, top_p=0.95, seed=3), 1),
    (Sampling(temperature=1.0), 3),
    (Sampling(temperature=0.7, min_p=0.05, repetition_penalty=1.1), 1),
)


def jobs_of(requests: Sequence[Request], tokens: int = 20) -> list[Job]:
    """Scores; and each generation greedily, drawn, and drawn three times."""
    jobs: list[Job] = []
    for request in requests:
        user = request.origin.sample_id
        if isinstance(request, ScoreRequest):
            assert request.ids is not None
            jobs.append(ScoreJob(ids=request.ids, start=request.start, user=user))
            continue
        assert request.prompt.ids is not None
        for sampling, n in DRAWS:
            jobs.append(GenerateJob(ids=request.prompt.ids, max_tokens=tokens, sampling=sampling, n=n, user=user))
    return jobs


def serve(model: Any, jobs: Sequence[Job], waves: int = 1, **options: Any) -> tuple[list[Any], Engine]:
    engine = Engine(model, str, check=True, **options)
    pending = [list(jobs[number::waves]) for number in range(waves)]
    while pending:
        engine.run(lambda: pending.pop(0) if pending else [], lambda: bool(pending))
    return [job.listener.result for job in jobs], engine  # type: ignore[attr-defined]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def in_some_order(jobs: Sequence[Job], seed: int) -> list[int]:
    order = list(range(len(jobs)))
    random.Random(seed).shuffle(order)
    return order


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("numerics", "dtype"), [("exact", "float32"), ("fast", "float32"), ("exact", "bfloat16"), ("fast", "bfloat16")]
)
def test_bits_do_not_depend_on_what_is_computed_together(
    model: Any, real: list[Request], numerics: str, dtype: str
) -> None:
    if dtype != "float32":
        model = next(iter(load("smollm2", dtype=dtype)._ready().values())).model
    torch.set_num_threads(2)
    expected, engine = serve(model, jobs_of(real), numerics=numerics)
    report = engine.report
    assert report.prefilled < report.requested / 4, "the prompts share little: the test shows nothing"
    size = bytes_per_token(model.config, model.dtype)
    equal = []
    for count, options in (
        (2, {"batch_tokens": 64}),
        (2, {"batch_tokens": 4096}),
        (1, {"batch_tokens": 700, "kv_bytes": 4_000 * size, "max_texts": 3, "guesses": 7}),
        (2, {"batch_tokens": 333, "kv_bytes": 2_500 * size}),
        (1, {"waves": 5, "guesses": 0}),
    ):
        torch.set_num_threads(count)
        jobs = jobs_of(real)
        order = in_some_order(jobs, count)
        serve(model, [jobs[at] for at in order], numerics=numerics, **options)
        equal.append([job.listener.result for job in jobs] == expected)
    few = jobs_of(real[:9])
    serve(model, few, numerics=numerics)
    equal.append([job.listener.result for job in few] == expected[: len(few)])
    if numerics == "exact":
        assert all(equal), equal
    else:
        assert not all(equal), "fast numerics pass this test too: it proves nothing"


def test_a_text_continued_equals_the_text_prefilled(model: Any, real: list[Request]) -> None:
    prompts = [request for request in real if not isinstance(request, ScoreRequest)]
    jobs = [GenerateJob(ids=request.prompt.ids or (), max_tokens=24) for request in prompts]
    texts, _ = serve(model, jobs, numerics="exact")
    for job, [text] in zip(jobs, texts, strict=True):
        halfway = replace(job, ids=(*job.ids, *text.ids[:12]), max_tokens=12, listener=Kept())
        [[rest]], _ = serve(model, [halfway], numerics="exact")
        assert rest.ids == text.ids[12:]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    transformers = pytest.importorskip("transformers")
    from evalharness.backends.stack import convert

    folder = tmp_path_factory.mktemp("theirs") / "smollm2"
    convert("smollm2", folder)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.inference_mode()
@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_log_likelihoods_are_those_of_transformers(
    backend: StackBackend, model: Any, theirs: Any, real_mirror: Path, numerics: str
) -> None:
    requests: list[Request] = []
    for task in ("mmlu/astronomy", "hellaswag"):
        cell = ours.cell(task, real_mirror, protocol="lm-eval")
        for sample in cell.samples[:25]:
            requests += ours.requests(cell, sample, backend.tokenizer)
    jobs = [job for job in jobs_of(requests) if isinstance(job, ScoreJob)]
    assert len(jobs) == 200
    found, _ = serve(model, jobs, numerics=numerics)
    for job, scores in zip(jobs, found, strict=True):
        logits = theirs(torch.tensor([job.ids[:-1]])).logits[0, job.start - 1 :].log_softmax(-1)
        expected = logits.gather(1, torch.tensor(job.ids[job.start :])[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(scores.log_likelihoods), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_greedy_texts_are_those_of_transformers(
    backend: StackBackend, model: Any, theirs: Any, real_mirror: Path, numerics: str
) -> None:
    cell = ours.cell("hellaswag", real_mirror, protocol="lm-eval")
    prompts = [ours.requests(cell, sample, backend.tokenizer)[0] for sample in cell.samples[:50]]
    starts = [request.ids[: request.start] for request in prompts if isinstance(request, ScoreRequest) and request.ids]
    jobs = [GenerateJob(ids=ids, max_tokens=64) for ids in starts]
    texts, _ = serve(model, jobs, numerics=numerics)
    for job, [text] in zip(jobs, texts, strict=True):
        drawn = text.ids
        logits_TV = theirs(torch.tensor([[*job.ids, *drawn[:-1]]])).logits[0, len(job.ids) - 1 :]
        for row, id in zip(logits_TV, drawn, strict=True):
            best, second = row.topk(2).values.tolist()
            if int(row.argmax()) != id:
                assert best - float(row[id]) < 1e-4, (best, second, id)
                break


PEAK = """
import resource, sys
from evalharness.backends import stack
from evalharness.stack.engine.requests import GenerateJob, answers
from evalharness.stack.engine.engine import Engine

backend = stack.load("smollm2", threads=2)
model = next(iter(backend._ready().values())).model
engine = Engine(model, backend.tokenizer.decode, kv_bytes=int(sys.argv[1]) << 20, guesses=0)
answers(engine, [GenerateJob(ids=(5,) * 40, max_tokens=2)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = engine.report.kv_bytes_per_token
answers(engine, [
    GenerateJob(ids=tuple(1000 + 7 * n + k for k in range(190)), max_tokens=12) for n in range(80)
])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(engine.report.peak_tokens * size / 2**20, (after - before) / 1024)
"""


@pytest.mark.usefixtures("backend")
def test_the_operating_system_sees_no_more_memory_than_the_budget_says() -> None:
    """Beside keys and values lie those of one line, and what its passes need."""
    found = {}
    for budget in (64, 256, 512):
        command = [sys.executable, "-c", PEAK, str(budget)]
        counted, seen = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        assert counted <= budget
        found[budget] = counted, seen
    assert found[64][0] < found[256][0] < found[512][0]
    for counted, seen in found.values():
        assert seen < counted + 128
