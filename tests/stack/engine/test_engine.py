"""The engine on a tiny random model: right answers, whatever the batch and whoever comes and goes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.engine.cache import bytes_per_token
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.generation import RunningText
from evalharness.stack.engine.requests import GenerateJob, Sampling, ScoreJob, answers
from evalharness.stack.kernels.linear_scoring import heads
from evalharness.stack.layers.attention import WholeSequence

VOCABULARY = 96


class Waiting:
    """A listener that keeps what it is told, in one common diary."""

    def __init__(self, diary: list | None = None) -> None:
        self.cancelled = False
        self.begun = 0
        self.result = None
        self.diary = [] if diary is None else diary

    def begin(self) -> None:
        self.begun += 1

    def done(self, result) -> None:
        assert self.result is None
        self.result = result
        self.diary.append(self)

    def failed(self, error) -> None:
        raise error


def decode(ids) -> str:
    """A letter for each token."""
    return "".join(chr(32 + id) for id in ids)


def serve(model, jobs, **options) -> list:
    pending = [list(jobs)]
    Engine(model, decode, check=True, **options).run(lambda: pending.pop() if pending else [])
    return [job.listener.result for job in jobs]


def score(ids, start, diary=None) -> ScoreJob:
    return ScoreJob(ids=tuple(ids), start=start, listener=Waiting(diary))


def generate(ids, max_tokens=12, diary=None, **options) -> GenerateJob:
    return GenerateJob(ids=tuple(ids), max_tokens=max_tokens, listener=Waiting(diary), **options)


def full_log_probabilities(model, ids):
    with torch.inference_mode():
        tensor = torch.tensor(ids)
        return model.logits(model(tensor, torch.arange(len(tensor)), WholeSequence())).log_softmax(-1)


ids_of = st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=40)
score_jobs = st.lists(ids_of.flatmap(lambda ids: st.tuples(st.just(ids), st.integers(1, len(ids)))), max_size=12)


@settings(max_examples=40, deadline=None)
@given(asked=score_jobs, batch_tokens=st.integers(1, 120), rows_at_once=st.sampled_from([1, 7, 1000]))
def test_scores_equal_a_pass_of_each_sequence_alone(tiny_model, asked, batch_tokens, rows_at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(heads.LOGITS_AT_ONCE, "cpu", rows_at_once * VOCABULARY)
        results = serve(tiny_model, [score(ids, start) for ids, start in asked], batch_tokens=batch_tokens)
    for (ids, start), result in zip(asked, results, strict=True):
        expected = full_log_probabilities(tiny_model, ids)[start - 1 : -1]
        targets = torch.tensor(ids[start:], dtype=torch.long)
        torch.testing.assert_close(
            torch.tensor(result.log_likelihoods), expected.gather(1, targets[:, None])[:, 0], atol=1e-4, rtol=0
        )
        assert result.greedy == tuple((expected.argmax(-1) == targets).tolist())


def test_continuations_of_one_token_share_one_row(tiny_model):
    fed = []
    original = tiny_model.forward

    def counting(ids_T, positions_T, context):
        fed.append(len(ids_T))
        return original(ids_T, positions_T, context)

    question = [5, 9, 2, 7, 30]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_model, "forward", counting)
        results = serve(tiny_model, [score([*question, letter], 5) for letter in (1, 2, 3, 4)])
    assert fed == [5]
    expected = full_log_probabilities(tiny_model, question)[-1]
    for letter, result in zip((1, 2, 3, 4), results, strict=True):
        assert result.log_likelihoods == pytest.approx([expected[letter].item()], abs=1e-4)


def test_results_come_in_order_of_arrival_and_before_the_whole_is_done(tiny_model):
    diary: list = []
    jobs = [score([length, *range(length), 3], 1, diary) for length in (30, 3, 20, 5, 40, 4)]
    begun_at_first = []

    class First(Waiting):
        def done(self, result) -> None:
            super().done(result)
            begun_at_first.append([job.listener.begun for job in jobs])

    jobs[0] = dataclasses.replace(jobs[0], listener=First(diary))
    serve(tiny_model, jobs, batch_tokens=40)
    assert diary == [job.listener for job in jobs]
    assert begun_at_first == [[1, 1, 0, 0, 0, 0]]
    assert all(job.listener.begun == 1 for job in jobs)


# --------------------------------------------------------------------------- sharing

few = st.integers(0, 2)
branching = st.lists(
    st.tuples(st.lists(st.lists(few, max_size=30).map(tuple), min_size=1, max_size=5), st.integers(1, 200)),
    min_size=1,
    max_size=12,
)
"""Paths made of up to five runs over three tokens: many begin alike, some are equal or prefixes of others."""


def distinct_prefixes(sequences) -> int:
    """Nodes of the tree of all prefixes, counted without one."""
    return len({tuple(ids[:end]) for ids in sequences for end in range(1, len(ids) + 1)})


def of_runs(runs, start):
    ids = [1, *(id for run in runs for id in run), 2]
    return ids, min(start, len(ids))


@settings(max_examples=60, deadline=None)
@given(asked=branching, batch_tokens=st.sampled_from([1, 7, 64, 500]), numerics=st.sampled_from(["fast", "exact"]))
def test_every_distinct_prefix_is_computed_once(tiny_model, asked, batch_tokens, numerics):
    jobs = [score(*of_runs(runs, start)) for runs, start in asked]
    engine = Engine(tiny_model, decode, check=True, batch_tokens=batch_tokens, numerics=numerics)
    pending = [jobs]
    engine.run(lambda: pending.pop() if pending else [])
    scored = [job for job in jobs if job.start < len(job.ids)]
    assert engine.report.prefilled == distinct_prefixes([job.ids[:-1] for job in scored])
    assert engine.report.requested == sum(len(job.ids) - 1 for job in scored)
    assert engine.budget.used == 0
    for job in scored:
        expected = full_log_probabilities(tiny_model, job.ids)[job.start - 1 : -1]
        targets = torch.tensor(job.ids[job.start :])
        found = torch.tensor(job.listener.result.log_likelihoods)
        torch.testing.assert_close(found, expected.gather(1, targets[:, None])[:, 0], atol=1e-4, rtol=0)


@settings(max_examples=30, deadline=None)
@given(tails=st.lists(st.lists(few, min_size=1, max_size=14).map(tuple), min_size=10, max_size=40))
def test_what_comes_later_finds_what_it_shares_still_there(tiny_model, tails):
    preamble = list(range(3, 73))
    jobs = [
        dataclasses.replace(score([*preamble, *tail, 2], len(preamble)), user=number)
        for number, tail in enumerate(tails)
    ]
    engine = Engine(tiny_model, decode, check=True, batch_tokens=50)
    pending = [jobs[at : at + len(jobs) // 10] for at in range(0, len(jobs), len(jobs) // 10)]
    while pending:
        engine.run(lambda: pending.pop(0) if pending else [], lambda: bool(pending))
    assert engine.report.prefilled == distinct_prefixes([job.ids[:-1] for job in jobs])
    assert engine.budget.used == 0


@settings(max_examples=60, deadline=None)
@given(
    asked=branching,
    texts=st.lists(st.tuples(st.lists(few, min_size=1, max_size=90), st.sampled_from([0.0, 0.9]), st.integers(1, 3))),
    order=st.randoms(use_true_random=False),
    batch_tokens=st.sampled_from([16, 50, 500]),
    kv_tokens=st.sampled_from([600, 1000, 100_000]),
    waves=st.integers(1, 4),
)
def test_exact_bits_depend_on_the_job_alone(tiny_model, asked, texts, order, batch_tokens, kv_tokens, waves):
    def jobs():
        scored = [score(*of_runs(runs, start)) for runs, start in asked]
        drawn = [
            generate(ids, 9, sampling=Sampling(temperature=temperature, seed=len(ids)), n=n)
            for ids, temperature, n in texts[:6]
        ]
        return scored + drawn

    alone = [serve(tiny_model, [job], numerics="exact")[0] for job in jobs()]
    together = jobs()
    shuffled = order.sample(together, len(together))
    pending = [shuffled[number::waves] for number in range(waves)]
    engine = Engine(
        tiny_model,
        decode,
        check=True,
        numerics="exact",
        batch_tokens=batch_tokens,
        kv_bytes=kv_tokens * bytes_per_token(tiny_model.config, tiny_model.dtype),
    )
    while pending:
        engine.run(lambda: pending.pop() if pending else [], lambda: bool(pending))
    assert engine.budget.used == 0
    assert [job.listener.result for job in together] == alone


def test_a_sequence_longer_than_the_memory_is_scored_in_one_line(tiny_model):
    jobs = [score([first, *[5, 9, 2, 7] * 60, 3], 1) for first in (1, 2)]
    size = bytes_per_token(tiny_model.config, tiny_model.dtype)
    small = serve(tiny_model, jobs, batch_tokens=50, kv_bytes=70 * size, numerics="exact")
    again = [dataclasses.replace(job, listener=Waiting()) for job in jobs]
    assert small == serve(tiny_model, again, numerics="exact")


# --------------------------------------------------------------------------- generation


def greedy(model, ids, count):
    """Greedy decoding by whole passes."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(full_log_probabilities(model, ids)[-1].argmax()))
    return tuple(ids[-count:])


def test_greedy_equals_whole_passes(tiny_model):
    prompts = [[3, 4, 5], list(range(1, 30)), [7]]
    results = serve(tiny_model, [generate(prompt, 25) for prompt in prompts])
    for prompt, (text,) in zip(prompts, results, strict=True):
        assert text.ids == greedy(tiny_model, prompt, 25)
        assert (text.text, text.finish_reason, text.stop) == (decode(text.ids), "length", None)


generate_jobs = st.lists(
    st.tuples(
        st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30),
        st.integers(1, 20),
        st.sampled_from(
            [Sampling(), Sampling(temperature=0.9, seed=4), Sampling(temperature=1.5, top_p=0.9, top_k=20)]
        ),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=30, deadline=None)
@given(
    asked=generate_jobs,
    batch_tokens=st.sampled_from([1, 16, 1024]),
    max_texts=st.integers(1, 8),
    kv_tokens=st.sampled_from([500, 700, 100_000]),
    scores=st.integers(0, 3),
)
def test_a_text_depends_on_its_own_request_only(tiny_model, asked, batch_tokens, max_texts, kv_tokens, scores):
    # In `fast`, a draw at the border of two tokens may fall to either.
    alone = [
        serve(tiny_model, [generate(ids, most, sampling=s, n=n)], numerics="exact")[0] for ids, most, s, n in asked
    ]
    others = [score(range(2, 30 + number), 4) for number in range(scores)]
    together = serve(
        tiny_model,
        [*others, *(generate(ids, most, sampling=s, n=n) for ids, most, s, n in asked)],
        numerics="exact",
        batch_tokens=batch_tokens,
        max_texts=max_texts,
        kv_bytes=kv_tokens * bytes_per_token(tiny_model.config, tiny_model.dtype),
    )[scores:]
    assert together == alone


def test_samples_of_one_request_differ_and_a_seed_repeats_them(tiny_model):
    sampling = Sampling(temperature=1.0, seed=1)
    (three,), (again,) = (serve(tiny_model, [generate([1, 2], sampling=sampling, n=3)]) for _ in range(2))
    (one,) = serve(tiny_model, [generate([1, 2], sampling=sampling)])
    assert len({text.ids for text in three}) == 3
    assert three == again
    assert one == three[:1]


def test_stop_strings_eos_and_length(tiny_model):
    ids = greedy(tiny_model, [3, 4, 5], 12)
    text = decode(ids)
    stop = next(text[at : at + 3] for at in range(4, 9) if text.find(text[at : at + 3]) == at)
    (stopped,) = serve(tiny_model, [generate([3, 4, 5], stop=("never", stop))])[0]
    assert stopped.text == text[: text.index(stop)]
    assert (stopped.finish_reason, stopped.stop) == ("stop", stop)
    assert len(stopped.ids) == text.index(stop) + 3

    (ended,) = serve(tiny_model, [generate([3, 4, 5], eos_ids=frozenset({ids[6]}))])[0]
    until = ids[: ids.index(ids[6]) + 1]
    assert (ended.ids, ended.text, ended.finish_reason) == (until, decode(until[:-1]), "eos")

    (cut,) = serve(tiny_model, [generate(range(1, 21), max_tokens=50)], max_length=24)[0]
    assert (len(cut.ids), cut.finish_reason) == (4, "length")


def test_tokens_are_told_as_they_come(tiny_model):
    told: dict[int, list[int]] = {0: [], 1: []}
    job = generate([1], sampling=Sampling(temperature=1.0), n=2, on_tokens=lambda n, ids: told[n].extend(ids))
    (texts,) = serve(tiny_model, [job])
    assert [tuple(told[0]), tuple(told[1])] == [text.ids for text in texts]


@pytest.mark.parametrize(("numerics", "n"), [("exact", 1), ("exact", 3), ("fast", 1)])
@pytest.mark.parametrize("guesses", [0, 3])
def test_a_later_turn_reads_only_what_is_new(tiny_model, numerics, n, guesses):
    engine = Engine(tiny_model, decode, check=True, numerics=numerics, guesses=guesses)

    def ask(job):
        pending = [[job]]
        engine.run(lambda: pending.pop() if pending else [])
        return job.listener.result

    prompt = [7, *range(20, 95), 4]
    texts = ask(generate(prompt, 30, n=n, continues=True, sampling=Sampling(temperature=0.8 if n > 1 else 0.0)))
    for text in texts:
        then = [*prompt, *text.ids, 9, 9, 3]
        before = engine.report.prefilled
        (again,) = ask(generate(then, 10, sampling=Sampling(temperature=0.7, seed=2), log_probabilities=0))
        # The last token drawn was never fed, and three are new.
        assert engine.report.prefilled - before == 4
        ((alone,),) = serve(
            tiny_model,
            [generate(then, 10, sampling=Sampling(temperature=0.7, seed=2), log_probabilities=0)],
            numerics=numerics,
        )
        assert again == alone if numerics == "exact" else again.ids == alone.ids
        whole = score([*then[: len(prompt) + 29], 5], len(prompt) - 1)
        before = engine.report.prefilled
        found = ask(whole)
        assert engine.report.prefilled == before
        again = dataclasses.replace(whole, listener=Waiting())
        (expected,) = serve(tiny_model, [again], numerics=numerics)
        assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=0 if numerics == "exact" else 1e-4)
    engine.forget()
    engine.check()
    assert engine.budget.used == 0


# --------------------------------------------------------------------------- guessing ahead

DRAFTS = {
    "none": lambda text, count: [],
    "prompt": RunningText.guess,
    "bad": lambda text, count: [0, 95, 7, 7, 7, 7, 7][: min(count, text.running.limit - len(text.ids) - 1)],
    "half right": lambda text, count: (text.stream._ids[:1] * 9)[: min(count, text.running.limit - len(text.ids) - 1)],
}


@settings(max_examples=25, deadline=None)
@given(
    asked=generate_jobs,
    stop=st.sampled_from([(), ("!",), ("5B",)]),
    penalty=st.sampled_from([1.0, 1.4]),
    numerics=st.sampled_from(["exact", "fast"]),
)
def test_what_is_guessed_ahead_changes_no_text(tiny_model, asked, stop, penalty, numerics):
    results = {}
    for name, draft in DRAFTS.items():
        jobs = [
            generate(
                ids * 3,
                count,
                stop=stop,
                n=n,
                eos_ids=frozenset({50}),
                log_probabilities=2,
                sampling=dataclasses.replace(sampling, repetition_penalty=penalty),
            )
            for ids, count, sampling, n in asked
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunningText, "guess", draft)
            results[name] = serve(tiny_model, jobs, numerics=numerics)
    for found in results.values():
        if numerics == "exact":
            assert found == results["none"]
        else:
            assert [[text.ids for text in texts] for texts in found] == [
                [text.ids for text in texts] for texts in results["none"]
            ]


def test_a_text_that_repeats_itself_takes_fewer_steps(tiny_model):
    steps = {}
    for guesses in (0, 7):
        engine = Engine(tiny_model, decode, check=True, guesses=guesses)
        job = generate([1, 2], 200, sampling=Sampling(logit_bias=((5, 100.0),)))
        pending = [[job]]
        engine.run(lambda pending=pending: pending.pop() if pending else [])
        assert job.listener.result[0].ids == (5,) * 200
        assert engine.report.decoded == 199
        steps[guesses] = engine.report.steps
    assert steps == {0: 200, 7: 28}


# --------------------------------------------------------------------------- what is told, and what may be said


def test_log_probabilities_are_the_models_own(tiny_model):
    sampling = Sampling(temperature=0.7, top_k=5, repetition_penalty=1.5, seed=3)
    prompt = [3, 4, 5]
    ((text,), (plain,)) = serve(
        tiny_model,
        [generate(prompt, 12, sampling=sampling, log_probabilities=3), generate(prompt, 12, sampling=sampling)],
    )
    expected = full_log_probabilities(tiny_model, [*prompt, *text.ids])[len(prompt) - 1 : -1]
    drawn = expected.gather(1, torch.tensor(text.ids)[:, None])[:, 0]
    assert text.log_probabilities == pytest.approx(drawn.tolist(), abs=1e-4)
    best = expected.topk(3)
    assert [[id for id, _ in row] for row in text.likeliest] == best.indices.tolist()
    assert [value for row in text.likeliest for _, value in row] == pytest.approx(
        best.values.flatten().tolist(), abs=1e-4
    )
    assert (plain.ids, plain.log_probabilities, plain.likeliest) == (text.ids, None, ())


class Alternating:
    """Odd and even tokens in turn."""

    error = None

    def __init__(self) -> None:
        self.odd = True

    def allowed(self, count):
        return torch.arange(count) % 2 == self.odd

    def push(self, id) -> None:
        assert id % 2 == self.odd
        self.odd = not self.odd


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_constraint_holds_in_every_text(tiny_model, temperature):
    jobs = [
        generate([1, 2], 20, n=3, constrain=Alternating, sampling=Sampling(temperature=temperature)),
        generate([1, 2], 20, sampling=Sampling(temperature=temperature)),
    ]
    constrained, (free,) = serve(tiny_model, jobs)
    assert all([id % 2 for id in text.ids] == [1, 0] * 10 for text in constrained)
    assert [id % 2 for id in free.ids] != [1, 0] * 10


# --------------------------------------------------------------------------- coming and going


def test_jobs_join_while_others_run_and_cancelled_ones_leave(tiny_model):
    diary: list = []
    long, leaving, unstarted = generate([1, 2], 30, diary), generate([3], 30, diary), generate([8], 30, diary)
    late, late_score = generate([4, 5], 3, diary), score([1, 2, 3], 1, diary)
    steps = 0

    def arrivals():
        nonlocal steps
        steps += 1
        if steps == 1:
            return [long, leaving]
        if steps == 5:
            leaving.listener.cancelled = unstarted.listener.cancelled = True
            return [late, late_score, unstarted]
        return []

    Engine(tiny_model, decode, guesses=0).run(arrivals)
    assert diary == [late_score.listener, late.listener, long.listener]
    assert leaving.listener.result is None
    assert (leaving.listener.begun, unstarted.listener.begun) == (1, 0)
    assert steps == 31
    assert long.listener.result[0].ids == greedy(tiny_model, [1, 2], 30)


def test_a_batch_of_texts_stays_full_while_texts_wait(tiny_model):
    """Lengths from 1 to 250 in any order: texts leave when they end, and others take their place at once."""
    lengths = [1 + number * 89 % 250 for number in range(750)]
    jobs = [generate([number % 90, number // 90], length) for number, length in enumerate(lengths)]
    engine = Engine(tiny_model, decode, max_texts=32, guesses=0)
    pending = [jobs]
    engine.run(lambda: pending.pop() if pending else [])
    assert [len(job.listener.result[0].ids) for job in jobs] == lengths
    assert engine.report.steps <= 1.1 * max(max(lengths), sum(lengths) / 32)


@settings(max_examples=30, deadline=None)
@given(
    leave=st.lists(st.tuples(st.integers(2, 25), st.integers(0, 11)), max_size=10),
    kv_tokens=st.sampled_from([500, 1000, 100_000]),
)
def test_whoever_leaves_whenever_the_engine_stays_whole(tiny_model, leave, kv_tokens):
    """A request that ran out of time, or whose sample failed, is cancelled: at any step, running or waiting."""

    def jobs():
        texts = [
            generate([1, 2, 3, *range(10 + n)], 20, n=1 + n % 3, continues=n % 2 == 0, sampling=sampling)
            for n in range(6)
        ]
        return texts + [score([1, 2, 3, *range(30), n, n, 5], 3) for n in range(6)]

    sampling = Sampling(temperature=0.9, seed=1)
    asked, steps = jobs(), 0

    def arrivals():
        nonlocal steps
        steps += 1
        for step, number in leave:
            if step == steps:
                asked[number].listener.cancelled = True
        return asked if steps == 1 else []

    size = bytes_per_token(tiny_model.config, tiny_model.dtype)
    options = {"numerics": "exact", "batch_tokens": 20}
    engine = Engine(tiny_model, decode, check=True, kv_bytes=kv_tokens * size, **options)
    engine.run(arrivals)
    engine.forget()
    engine.check()
    assert engine.budget.used == 0
    for job, alone in zip(asked, jobs(), strict=True):
        if job.listener.cancelled and job.listener.result is None:
            continue
        assert job.listener.result == serve(tiny_model, [alone], **options)[0]


def test_an_error_leaves_the_engine_usable(tiny_model):
    def broken(number, ids):
        raise OSError("the pipe is closed")

    engine = Engine(tiny_model, decode)
    pending = [[generate([1], on_tokens=broken), score([1, 2], 1)]]
    with pytest.raises(OSError, match="pipe"):
        engine.run(lambda: pending.pop() if pending else [])
    job = generate([3, 4, 5])
    pending = [[job]]
    engine.run(lambda: pending.pop() if pending else [])
    assert job.listener.result[0].ids == greedy(tiny_model, [3, 4, 5], 12)


def test_no_token_to_score_is_no_work(tiny_model):
    assert serve(tiny_model, [score([5], 1)])[0].log_likelihoods == ()


def test_what_is_kept_of_tokens_is_no_more_than_the_budget():
    """Of a wide model with one small key head, whose last hidden states are most of it."""
    options = {"layers": 1, "width": 512, "heads": 4, "kv_heads": 1, "head_dim": 16, "ffn_width": 64}
    model = Decoder(ModelOptions.model_validate(options).to_config(VOCABULARY, 256, None, ()))
    engine = Engine(model.requires_grad_(False), decode, kv_bytes=2**20, batch_tokens=5)
    assert len(answers(engine, [ScoreJob(ids=tuple(range(20)), start=1)])) == 1
    assert 0.9 * 2**20 < sum(part.nbytes for part in (*engine._store.layers, engine._store.hidden)) <= 2**20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_exact_bits_of_large_heads_and_of_every_dtype(dtype):
    """Sums so long that a processor's products of few rows have other bits."""
    options = {"layers": 1, "width": 256, "heads": 2, "kv_heads": 1, "head_dim": 256, "ffn_width": 1536}
    model = Decoder(ModelOptions.model_validate(options).to_config(VOCABULARY, 256, None, ()))
    initialize(model, 5, 0.08)
    model = model.to(dtype).eval().requires_grad_(False)
    model.pack(exact=True)
    ids = torch.randint(0, VOCABULARY, (6, 100), generator=torch.Generator().manual_seed(4))
    ids[:, :70] = ids[0, :70]

    def jobs():
        asked = [
            generate(prompt, 3, sampling=Sampling(temperature=1.0), log_probabilities=1) for prompt in ids.tolist()
        ]
        return asked + [score((*prompt, 7), 98) for prompt in ids.tolist()] + [score(ids[0].tolist(), 1)]

    together = serve(model, jobs(), numerics="exact")
    assert [serve(model, [job], numerics="exact")[0] for job in jobs()] == together
    assert serve(model, jobs(), numerics="exact", batch_tokens=40) == together
