"""The plain loop on tiny random models, an encoder-decoder and a Mamba: right answers, whoever comes and goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.families.known import new_model
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.engine.requests import GenerateJob, Job, Sampling, ScoreJob
from evalharness.stack.plain import runner
from evalharness.stack.plain.runner import MAX_TEXTS, PlainLoop

VOCABULARY = 96
CONFIGS = {
    "encoder-decoder": EncoderDecoderConfig(
        vocab_size=VOCABULARY, width=24, encoder_layers=2, decoder_layers=2, heads=3, head_dim=8, ffn_width=32,
        max_length=60,
    ),
    "mamba": MambaConfig(vocab_size=VOCABULARY, width=16, layers=2, time_step_rank=2, state_size=4, max_length=60),
}  # fmt: skip


@pytest.fixture(params=CONFIGS, scope="module")
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(7)
    model = new_model(CONFIGS[request.param]).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.4)
    return model


class Waiting:
    """A listener that keeps what it is told, in one common diary."""

    def __init__(self, diary: list[Waiting]) -> None:
        self.cancelled = False
        self.begun = 0
        self.result: Any = None
        self.error: Exception | None = None
        self.diary = diary

    def begin(self) -> None:
        self.begun += 1

    def done(self, result: Any) -> None:
        assert self.result is None
        self.result = result
        self.diary.append(self)

    def failed(self, error: Exception) -> None:
        assert self.error is None
        self.error = error


def decode(ids: Sequence[int]) -> str:
    """A letter for each token."""
    return "".join(chr(32 + id) for id in ids)


def loop(model: Any, **options: Any) -> PlainLoop[Any]:
    return PlainLoop(model, decode, **{"max_length": 60} | options)


def serve(model: Any, jobs: Sequence[Job], **options: Any) -> list[Any]:
    pending = [list(jobs)]
    loop(model, **options).run(lambda: pending.pop() if pending else [])
    assert all(job.listener.begun == 1 for job in jobs)
    return [job.listener.result for job in jobs]


def ids(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(torch.randint(0, VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed)).tolist())


def score(ids: Sequence[int], start: int, diary: list[Waiting] | None = None) -> ScoreJob:
    return ScoreJob(ids=tuple(ids), start=start, listener=Waiting([] if diary is None else diary))


def generate(ids: Sequence[int], max_tokens: int = 12, **options: Any) -> GenerateJob:
    return GenerateJob(ids=tuple(ids), max_tokens=max_tokens, listener=Waiting([]), **options)


@torch.inference_mode()
def whole(model: Any, prompt: Sequence[int], text: Sequence[int]) -> Tensor:
    """Log-probabilities at every token of a text, by one pass over all of it, [T, V]."""
    if isinstance(model, EncoderDecoder):
        said = [model.config.start_id, *text[:-1]]
        logits = model.logits(model(torch.tensor([prompt]), None, torch.tensor([said]))[0])
    else:
        hidden_BTW, _ = model(torch.tensor([[*prompt, *text[:-1]]]))
        logits = model.logits(hidden_BTW[0])[len(prompt) - 1 :]
    return logits.log_softmax(-1)


def test_scores_equal_a_pass_of_each_sequence_alone(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TOKENS_AT_ONCE", 9)
    prompt = ids(12)
    asked = [(prompt + ids(length, seed), 12) for seed, length in enumerate((1, 1, 2, 7, 7, 4, 30))]
    asked += [(ids(20, 3), 1), (prompt + ids(7, 4), 12), (prompt + ids(5, 3), 12), (ids(3, 1), 3)]
    jobs = [score(*each) for each in asked]
    for job, result in zip(jobs, serve(model, jobs), strict=True):
        text = job.ids[job.start :]
        expected = whole(model, job.ids[: job.start], text) if text else torch.zeros(0, VOCABULARY)
        targets = torch.tensor(text, dtype=torch.long)
        values = expected.gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.log_likelihoods), values, atol=1e-4, rtol=1e-4)
        assert list(result.greedy) == (expected.argmax(-1) == targets).tolist()


def test_a_prompt_is_read_once_for_all_who_ask_about_it(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    begin = model.begin
    monkeypatch.setattr(model, "begin", lambda prompt: read.append(tuple(prompt)) or begin(prompt))
    prompt = ids(9)
    jobs: list[Job] = [score((*prompt, token), 9) for token in (5, 6, 7, 8)]
    jobs += [score(ids(9, 1), 8), generate(prompt, n=2, sampling=Sampling(temperature=1.0)), score((*prompt, 1, 2), 9)]
    served = loop(model, prompt_end=(3,))
    pending = [jobs]
    served.run(lambda: pending.pop() if pending else [])
    assert read == [(*prompt, 3), (*ids(9, 1)[:8], 3)]
    told = served.report.as_dict()
    # Asked: all but the last token of each; computed: two prompts and the first token of the longer continuation.
    assert (told["tokens_requested"], told["tokens_computed"]) == (4 * 9 + 8 + 9 + 10, 9 + 8 + 1)
    assert told["tokens_decoded"] == sum(len(text.ids) for text in jobs[5].listener.result)


def test_greedy_texts_are_the_likeliest_tokens_whatever_is_beside_them(model: Any) -> None:
    jobs = [generate(ids(length, length), log_probabilities=2) for length in range(1, 2 * MAX_TEXTS + 5)]
    results = serve(model, jobs)
    for job, (text,) in zip(jobs, results, strict=True):
        assert len(text.ids) == 12
        assert (text.finish_reason, text.text) == ("length", decode(text.ids))
        expected = whole(model, job.ids, text.ids)
        best, likeliest = expected.topk(2)
        assert list(text.ids) == likeliest[:, 0].tolist()
        torch.testing.assert_close(torch.tensor(text.log_probabilities), best[:, 0], atol=1e-4, rtol=1e-4)
        assert [[id for id, _ in place] for place in text.likeliest] == likeliest.tolist()
    assert [serve(model, [generate(job.ids)])[0][0].ids for job in jobs[:4]] == [text.ids for (text,) in results[:4]]


def test_drawn_texts_depend_on_their_seed_alone(model: Any) -> None:
    sampling = Sampling(temperature=1.2, top_k=30, repetition_penalty=1.3, seed=5)
    alone = serve(model, [generate(ids(6), n=MAX_TEXTS + 3, sampling=sampling)])[0]
    beside = serve(model, [generate(ids(9, 1)), generate(ids(6), n=MAX_TEXTS + 3, sampling=sampling), generate(ids(2))])
    assert beside[1] == alone
    assert len({text.ids for text in alone}) > MAX_TEXTS
    other = serve(model, [generate(ids(6), n=2, sampling=Sampling(temperature=1.2, seed=6))])[0]
    assert {text.ids for text in other}.isdisjoint(text.ids for text in alone)
    (same,) = serve(model, [generate(ids(6), n=3)])
    assert same[0] == same[1] == same[2]


def test_texts_end_at_an_end_a_stop_string_and_the_greatest_length(model: Any) -> None:
    prompt = ids(7)
    ((text,),) = serve(model, [generate(prompt, max_tokens=30)])
    token = text.ids[4]
    first = text.ids.index(token)
    stop = decode(text.ids[:6])[3:5]
    at = decode(text.ids).index(stop)
    told: list[tuple[int, list[int]]] = []
    ended, stopped, longest = serve(
        model,
        [
            generate(prompt, eos_ids=frozenset({token}), on_tokens=lambda number, new: told.append((number, [*new]))),
            generate(prompt, stop=("never", stop)),
            generate(prompt, max_tokens=500),
        ],
    )
    assert (ended[0].finish_reason, ended[0].ids) == ("eos", text.ids[: first + 1])
    assert told == [(0, [id]) for id in ended[0].ids]
    assert (stopped[0].finish_reason, stopped[0].stop, stopped[0].text) == ("stop", stop, decode(text.ids)[:at])
    # Behind an encoder a text has the whole length to itself; else the prompt takes its part.
    assert len(longest[0].ids) == (60 if model.speaks_apart else 53)
    assert longest[0].finish_reason == "length"


def test_those_who_come_later_are_served_and_those_who_left_are_not(model: Any) -> None:
    diary: list[Waiting] = []
    long = generate(ids(5), max_tokens=50)
    gone, left = generate(ids(6), max_tokens=50), score(ids(8, 2), 3, diary)
    early, late = score(ids(8), 3, diary), score(ids(8, 1), 3, diary)
    steps = 0

    def arrivals() -> list[Job]:
        nonlocal steps
        steps += 1
        if steps == 1:
            left.listener.cancelled = True
            return [long, gone, left, early]
        gone.listener.cancelled = steps > 8
        return [late] if steps == 20 else []

    loop(model).run(arrivals)
    assert diary == [early.listener, late.listener]
    assert (gone.listener.result, left.listener.result, left.listener.begun) == (None, None, 0)
    assert len(long.listener.result[0].ids) == 50
    assert steps < 60


def test_what_is_no_number_fails_those_who_asked_for_it(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = model.outputs
    bad = ids(4, 9)
    good_W = model.begin(ids(6)).hidden_W

    def broken(hidden_RW: Tensor) -> Tensor:
        whose = (hidden_RW - good_W).abs().amax(-1, keepdim=True) > 1e-5
        return outputs(hidden_RW).masked_fill(whose, torch.nan)

    monkeypatch.setattr(model, "outputs", broken)
    jobs: list[Job] = [generate(bad), generate(ids(6), max_tokens=1), score((*bad, 5), 4), score((*ids(6), 5), 6)]
    pending = [jobs]
    loop(model).run(lambda: pending.pop() if pending else [])
    for job in (jobs[0], jobs[2]):
        assert job.listener.result is None
        assert "logits are not numbers; its weights are damaged" in str(job.listener.error)
    assert jobs[1].listener.result is not None
    assert jobs[3].listener.result is not None


def test_after_a_break_it_serves_again(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = loop(model)
    pending: list[list[Job]] = [[generate(ids(5)), generate(ids(6)), score(ids(9), 4)]]
    with monkeypatch.context() as patch:
        patch.setattr(model, "step", lambda states, tokens: (_ for _ in ()).throw(MemoryError("no room")))
        with pytest.raises(MemoryError):
            served.run(lambda: pending.pop() if pending else [])
    job = generate(ids(5))
    pending = [[job]]
    served.run(lambda: pending.pop() if pending else [])
    assert job.listener.result == serve(model, [generate(ids(5))])[0]
