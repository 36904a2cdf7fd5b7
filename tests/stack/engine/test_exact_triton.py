"""`exact` with all ops on Triton, as it is on a GPU: in the interpreter where there is none."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from stack.kernels.ladder import DEVICE

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Kept, Sampling, ScoreJob
from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.op import using
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.layers.linear import ExactLinear, PackedLinear

VOCABULARY = 90
PARTS = {
    "llama": {"kv_heads": 2},
    "gpt2": {"norm": "layer_norm", "feed_forward": "gelu_tanh", "positions": "learned", "biases": "all"},
    "window-qk-norm": {"layers": 2, "window": 70, "full_every": 2, "qk_norm": True, "kv_heads": 1},
    "experts": {"experts": 4, "experts_per_token": 2, "kv_heads": 2},
    "alibi-sandwich": {"positions": "alibi", "residual": "sandwich", "feed_forward": "geglu"},
}


def plain_decoder(parts: str) -> Decoder:
    shape = {"layers": 1, "width": 32, "heads": 4, "tied_embeddings": True}
    options = ModelOptions.model_validate({**shape, **PARTS[parts]})
    model = Decoder(options.to_config(VOCABULARY, 256, None, ()))
    initialize(model, 5, 0.2)
    return model.eval().requires_grad_(False)


def exact_decoder(parts: str, dtype: torch.dtype) -> Decoder:
    model = plain_decoder(parts).to(DEVICE, dtype)
    with using("triton"):
        model.pack(exact=True)
    return model


def serve(model: Decoder, waves: list[list], **options) -> None:
    pending = waves[::-1]
    with using("triton"):
        engine = Engine(
            model,
            lambda ids: "".join(chr(32 + id) for id in ids),
            numerics="exact",
            kv_bytes=1 << 20,
            check=True,
            **options,
        )
        while pending:
            engine.run(lambda: pending.pop() if pending else [], lambda: bool(pending))


def jobs_of(random: torch.Generator, shared: int, scores: int, texts: int) -> list:
    """Scores, and texts by turns drawn and greedy, behind one beginning of `shared` tokens."""

    def ids(count: int) -> list[int]:
        return torch.randint(0, VOCABULARY, (count,), generator=random).tolist()

    common = ids(shared)
    made: list = []
    for number in range(scores):
        asked = (*common, *ids(2 + 3 * number))
        made.append(ScoreJob(ids=asked, start=max(1, len(asked) - 3)))
    for number in range(texts):
        sampling = Sampling(temperature=0.9 * ((number + 1) % 2), seed=number, top_p=0.9)
        told = {"sampling": sampling, "log_probabilities": 2}
        made.append(GenerateJob(ids=(*common, *ids(1 + number)), max_tokens=2, **told))
    return made


def assert_bits_depend_on_the_job_alone(parts, dtype, shared, scores, texts, order, batch_tokens, waves):
    model = exact_decoder(parts, dtype)
    together = jobs_of(torch.Generator().manual_seed(shared), shared, scores, texts)
    alone = [dataclasses.replace(job, listener=Kept()) for job in together]
    for job in alone:
        serve(model, [[job]])
    shuffled = [together[place] for place in order]
    serve(model, [shuffled[number::waves] for number in range(waves)], batch_tokens=batch_tokens)
    assert [job.listener.result for job in together] == [job.listener.result for job in alone]
    return together


def test_bits_depend_on_the_job_alone_and_scores_are_those_of_a_whole_pass_in_torch():
    plain = plain_decoder("llama")
    for job in assert_bits_depend_on_the_job_alone("llama", torch.float32, 4, 2, 1, [2, 0, 1], 9, 1)[:2]:
        line = torch.tensor(job.ids)
        logits = plain.logits(plain(line, torch.arange(len(line)), WholeSequence())).log_softmax(-1)
        expected = logits[job.start - 1 : -1].gather(1, line[job.start :, None])[:, 0]
        torch.testing.assert_close(torch.tensor(job.listener.result.log_likelihoods), expected, atol=1e-4, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("parts", "dtype", "shared", "scores", "texts", "order", "batch_tokens", "waves"),
    [
        ("llama", torch.bfloat16, 66, 1, 2, [2, 0, 1], 40, 2),
        ("gpt2", torch.bfloat16, 66, 2, 1, [2, 0, 1], 40, 1),
        ("window-qk-norm", torch.float32, 66, 1, 1, [1, 0], 60, 2),
        ("experts", torch.bfloat16, 0, 2, 1, [1, 2, 0], 9, 1),
        ("alibi-sandwich", torch.float32, 1, 2, 2, [3, 1, 0, 2], 16, 1),
    ],
)
def test_bits_depend_on_the_job_alone_however_asked(
    parts, dtype, shared, scores, texts, order, batch_tokens, waves
):  # fmt: skip
    assert_bits_depend_on_the_job_alone(parts, dtype, shared, scores, texts, order, batch_tokens, waves)


def test_packing_takes_exact_products_where_triton_computes():
    plain = plain_decoder("gpt2").to(DEVICE)
    packed = exact_decoder("gpt2", torch.float32)
    products = [layer for layer in packed.modules() if isinstance(layer, ExactLinear)]
    assert not [layer for layer in packed.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(products) == 4 + 1
    # The vocabulary's weight is the embedding's, not a copy of it.
    assert packed.head.weight.data_ptr() == packed.embedding.weight.data_ptr()
    if DEVICE == "cpu":
        with using("torch"):
            plain.pack(exact=True)
        assert any(isinstance(layer, PackedLinear) for layer in plain.modules())
        assert not any(isinstance(layer, ExactLinear) for layer in plain.modules())


def test_an_engine_says_why_it_cannot_be_exact():
    elsewhere = copy.deepcopy(plain_decoder("llama")).to("meta")
    with pytest.raises(KernelError, match=r"exact arithmetic cannot be had on meta: .* say fast"):
        Engine(elsewhere, str, numerics="exact")


@pytest.mark.skipif(DEVICE == "cpu", reason="torch sees no GPU")
def test_on_a_gpu_a_model_must_be_packed_for_it():
    with pytest.raises(ValueError, match=r"pack\(exact=True\)"):
        Engine(plain_decoder("llama").to(DEVICE), str, numerics="exact")
