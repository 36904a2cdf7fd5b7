"""`exact` on models of any shape, in any numbers, on any number of threads: sums are ordered by all of these."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Job, Sampling, ScoreJob, answers

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
VOCABULARY = 3000


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    width = draw(st.sampled_from((128, 192, 320, 512, 576, 768, 896, 1024, 1536, 2048)))
    kv_heads = draw(st.integers(1, 4))
    shape = {
        "layers": draw(st.sampled_from((1, 2))),
        "width": width,
        "kv_heads": kv_heads,
        "heads": kv_heads * draw(st.sampled_from((1, 2, 3, 4, 7))),
        "head_dim": draw(st.sampled_from((16, 32, 40, 64, 72, 80, 96, 112, 128, 160, 192, 256))),
        "ffn_width": draw(st.sampled_from((2 * width, 4 * width, width * 8 // 3, width + 24))),
        "positions": draw(st.sampled_from(("rope", "alibi", "learned"))),
        "norm": draw(st.sampled_from(("rms_norm", "layer_norm"))),
        "residual": draw(st.sampled_from(("pre", "parallel", "sandwich"))),
        "feed_forward": draw(st.sampled_from(("swiglu", "geglu", "gelu_tanh"))),
        "biases": draw(st.sampled_from(("none", "all"))),
        "tied_embeddings": draw(st.booleans()),
    }
    if draw(st.booleans()):
        shape |= {"window": draw(st.sampled_from((20, 100, 200))), "full_every": 2}
    if draw(st.integers(0, 4)) == 0:
        shape["experts"] = 4
    return shape


def jobs(common: int) -> list[Job]:
    """Scores and texts behind one beginning of so many tokens."""
    random = torch.Generator().manual_seed(common)
    ids = torch.randint(5, VOCABULARY, (common + 40,), generator=random).tolist()
    made: list[Job] = []
    for number in range(4):
        own = (*ids[: common + number], *ids[-3 - 11 * number :])
        made.append(ScoreJob(ids=own, start=len(own) - 2))
        sampling = Sampling(temperature=float(number % 2), seed=number)
        made.append(GenerateJob(ids=own[: common + number - 5], max_tokens=6, sampling=sampling, log_probabilities=1))
    return made


@settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    shape=shapes(),
    dtype=st.sampled_from((torch.float32, torch.bfloat16, torch.float16)),
    count=st.sampled_from((1, 2, 3, 5, 16)),
    common=st.sampled_from((40, 130, 300)),
)
def test_bits_do_not_depend_on_what_is_computed_together(
    shape: dict[str, Any], dtype: torch.dtype, count: int, common: int
) -> None:
    torch.set_num_threads(count)
    model = Decoder(ModelOptions.model_validate(shape).to_config(VOCABULARY, 2048, None, ()))
    initialize(model, 5, 0.05)
    model = model.to(dtype).eval().requires_grad_(False)
    model.pack(exact=True)

    def served(asked: list[Job], **options: int) -> list[Any]:
        return answers(Engine(model, str, numerics="exact", **options), asked)

    together = served(jobs(common))
    assert served(jobs(common), batch_tokens=40) == together
    assert [result for job in jobs(common) for result in served([job])] == together
    if dtype != torch.bfloat16:  # on AMX its long sums are divided among the threads
        torch.set_num_threads(1)
        assert served(jobs(common)) == together
