"""The rule of waves. Each test would hang, or see other waves, if the loop did not decide when a wave is sent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from evalharness.backends.batching import RequestTimeoutError, Waves
from evalharness.errors import EvalHarnessError
from evalharness.types import (
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Origin,
    Prompt,
    Sampling,
    Tokenizer,
    Wave,
)

pytestmark = pytest.mark.timeout(10)


class Echo:
    """Answers each request with its own prompt, a whole wave at once."""

    tokenizer: Tokenizer | None = None

    def __init__(self, *, immediate: bool = False) -> None:
        self.info = BackendInfo(
            name="echo", kind="echo", accepts=frozenset({"text"}), fingerprint="echo", immediate=immediate
        )
        self.threads: set[int] = set()

    def answer(self, wave: Wave) -> None:
        self.threads.add(threading.get_ident())
        tickets = list(wave)
        for ticket in tickets:
            ticket.begin()
        for ticket in tickets:
            ticket.resolve(said(ticket.request.prompt.text))

    def close(self) -> None: ...


def said(text: str) -> Completions:
    return Completions((Completion(text=text),))


def request(text: str) -> GenerateRequest:
    return GenerateRequest(
        origin=Origin(task="t", sample_id=text, index=0),
        prompt=Prompt(messages=(), text=text),
        sampling=Sampling(max_tokens=1),
    )


async def text_of(waves: Waves, text: str) -> str:
    answer = await waves.ask(request(text))
    assert isinstance(answer, Completions)
    return answer.completions[0].text


def run(scenario: Callable[[Waves], Any], backend: Any = None, **options: Any) -> tuple[Any, list[int]]:
    async def inside() -> tuple[Any, list[int]]:
        async with Waves(backend or Echo(), **options) as waves:
            return await scenario(waves), waves.sizes

    return asyncio.run(inside())


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_two_dependent_calls_then_a_gather_of_five_are_three_waves(n: int) -> None:
    async def sample(waves: Waves, name: int) -> list[str]:
        first = await text_of(waves, f"{name}")
        second = await text_of(waves, first + "+")
        return await asyncio.gather(*(text_of(waves, f"{second}{part}") for part in range(5)))

    answers, sizes = run(lambda waves: asyncio.gather(*(sample(waves, name) for name in range(n))))
    assert sizes == [n, n, 5 * n]
    assert answers == [[f"{name}+{part}" for part in range(5)] for name in range(n)]


def test_a_sample_that_waits_on_a_slow_tool_holds_nobody_up() -> None:
    finished: list[str] = []

    async def slow(waves: Waves) -> None:
        await asyncio.to_thread(time.sleep, 0.3)
        finished.append(await text_of(waves, "slow"))

    async def quick(waves: Waves, name: str) -> None:
        for step in range(3):
            await text_of(waves, f"{name}{step}")
        finished.append(name)

    _, sizes = run(lambda waves: asyncio.gather(slow(waves), quick(waves, "a"), quick(waves, "b")))
    assert finished[-1] == "slow"
    assert sizes == [2, 2, 2, 1]


def test_an_exception_in_one_sample_leaves_the_others_alone() -> None:
    async def sample(waves: Waves, name: int) -> str:
        text = await text_of(waves, str(name))
        if name == 1:
            raise ValueError("this sample is broken")
        return await text_of(waves, text)

    results, sizes = run(lambda waves: asyncio.gather(*(sample(waves, i) for i in range(3)), return_exceptions=True))
    assert [type(result) for result in results] == [str, ValueError, str]
    assert sizes == [3, 2]


def test_a_cancelled_request_is_not_sent_and_frees_its_tokens() -> None:
    async def scenario(waves: Waves) -> tuple[str, int]:
        doomed = asyncio.create_task(text_of(waves, "doomed"))
        kept = asyncio.create_task(text_of(waves, "kept"))
        await asyncio.sleep(0)
        doomed.cancel()
        text = await kept
        with pytest.raises(asyncio.CancelledError):
            await doomed
        return text, waves.pending_tokens

    (text, pending), sizes = run(scenario)
    assert (text, pending, sizes) == ("kept", 0, [1])


def test_a_request_cancelled_in_service_is_told_to_the_backend() -> None:
    seen = threading.Event()

    class Patient(Echo):
        def answer(self, wave: Wave) -> None:
            (ticket,) = wave
            ticket.begin()
            while not ticket.cancelled:
                time.sleep(0.005)
            seen.set()

    async def scenario(waves: Waves) -> None:
        asking = asyncio.create_task(text_of(waves, "x"))
        await asyncio.sleep(0.05)
        asking.cancel()
        assert await asyncio.to_thread(seen.wait, 5)

    run(scenario, Patient())


def test_two_backends_do_not_wait_for_each_other() -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        async with Waves(Echo()) as model, Waves(Echo()) as judge:

            async def sample(name: str) -> None:
                answer = await text_of(model, name)
                await text_of(judge, answer)
                await text_of(model, answer)

            await asyncio.gather(*(sample(str(i)) for i in range(4)))
            return model.sizes, judge.sizes

    # A backend that stands idle is fed as soon as the loop is dry, so only the first wave's size is certain.
    at_model, at_judge = asyncio.run(scenario())
    assert at_model[0] == 4
    assert (sum(at_model), sum(at_judge)) == (8, 4)


def test_a_time_limit_counts_time_in_service_only() -> None:
    """Two requests of 0.2 s each, one after the other, fit a limit of 0.3 s; one of 0.6 s does not."""

    class OneByOne(Echo):
        def answer(self, wave: Wave) -> None:
            for ticket in wave:
                ticket.begin()
                until = time.monotonic() + float(ticket.request.prompt.text)
                while time.monotonic() < until and not ticket.cancelled:
                    time.sleep(0.005)
                ticket.resolve(said("done"))

    async def scenario(waves: Waves) -> list[Any]:
        return await asyncio.gather(*(text_of(waves, t) for t in ("0.2", "0.2", "0.6")), return_exceptions=True)

    results, _ = run(scenario, OneByOne(), time_limit=0.4)
    assert results[:2] == ["done", "done"]
    assert isinstance(results[2], RequestTimeoutError)
    assert "0.4 s" in str(results[2])


def test_an_engine_takes_late_requests_into_the_running_wave() -> None:
    class Engine(Echo):
        def __init__(self) -> None:
            super().__init__()
            self.answers = 0

        def answer(self, wave: Wave) -> None:
            self.answers += 1
            working, until = list(wave), time.monotonic() + 1.0
            while working or time.monotonic() < until:
                for ticket in working:
                    ticket.resolve(said(ticket.request.prompt.text))
                working = wave.joined()
                time.sleep(0.002)
                if self.seen_last(working):
                    until = 0.0

        @staticmethod
        def seen_last(tickets: list[Any]) -> bool:
            return any(ticket.request.prompt.text == "012" for ticket in tickets)

    async def scenario(waves: Waves) -> str:
        text = ""
        for step in range(3):
            text = await text_of(waves, text + str(step))
        return text

    engine = Engine()
    text, sizes = run(scenario, engine)
    assert (text, sizes, engine.answers) == ("012", [1, 1, 1], 1)


def test_a_backend_that_raises_fails_its_requests_and_lives_on() -> None:
    class Moody(Echo):
        def answer(self, wave: Wave) -> None:
            if any(ticket.request.prompt.text == "bad" for ticket in wave):
                raise RuntimeError("out of order")
            super().answer(wave)

    async def scenario(waves: Waves) -> str:
        with pytest.raises(RuntimeError, match="out of order"):
            await text_of(waves, "bad")
        return await text_of(waves, "good")

    assert run(scenario, Moody())[0] == "good"


class Panic(BaseException):
    """As libraries in Rust raise it: not an Exception."""


@pytest.mark.parametrize("error", [Panic("index out of range"), StopIteration(), SystemExit(3)])
def test_what_no_future_can_raise_fails_the_request_too(error: BaseException) -> None:
    class Fragile(Echo):
        def answer(self, wave: Wave) -> None:
            if any(ticket.request.prompt.text == "bad" for ticket in wave):
                raise error
            super().answer(wave)

    async def scenario(waves: Waves) -> str:
        with pytest.raises(EvalHarnessError, match=f"broke down: {type(error).__name__}"):
            await asyncio.wait_for(text_of(waves, "bad"), 5)
        return await text_of(waves, "good")

    assert run(scenario, Fragile())[0] == "good"


def test_closing_does_not_wait_for_a_backend_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.backends.batching.GRACE_SECONDS", 0.1)
    release = threading.Event()

    class Stuck(Echo):
        def answer(self, wave: Wave) -> None:
            release.wait(60)
            super().answer(wave)

    async def scenario(waves: Waves) -> asyncio.Task[str]:
        asking = asyncio.create_task(text_of(waves, "x"))
        await asyncio.sleep(0.05)
        return asking

    asking, _ = run(scenario, Stuck())
    assert asking.cancelled()
    release.set()  # its late answer finds the event loop closed, and nobody minds


def test_closing_cancels_what_is_asked_and_not_sent() -> None:
    async def scenario(waves: Waves) -> asyncio.Task[str]:
        asking = asyncio.create_task(text_of(waves, "x"))
        await asyncio.sleep(0)
        return asking

    asking, sizes = run(scenario)
    assert asking.cancelled()
    assert sizes == []


def test_a_forgotten_request_fails_instead_of_hanging() -> None:
    class Forgetful(Echo):
        def answer(self, wave: Wave) -> None:
            return

    async def scenario(waves: Waves) -> None:
        with pytest.raises(Exception, match="without answering"):
            await text_of(waves, "x")

    run(scenario, Forgetful())


def test_an_immediate_backend_is_fed_at_once() -> None:
    """The first request goes down before the loop turns; those behind it are there for the asking."""

    class Server(Echo):
        def answer(self, wave: Wave) -> None:
            late = list(wave)
            until = time.monotonic() + 2
            while len(late) < 4 and time.monotonic() < until:
                late += wave.joined()
            for ticket in late:
                ticket.resolve(said(f"{len(late)}"))

    async def scenario(waves: Waves) -> list[str]:
        return await asyncio.gather(*(text_of(waves, str(i)) for i in range(4)))

    texts, sizes = run(scenario, Server(immediate=True))
    assert texts == ["4"] * 4
    assert sizes[0] == 1


def test_answers_come_from_one_thread_that_ends() -> None:
    backend = Echo()
    before = threading.active_count()
    run(lambda waves: asyncio.gather(*(text_of(waves, str(i)) for i in range(50))), backend)
    assert len(backend.threads) == 1
    assert backend.threads != {threading.get_ident()}
    assert not [t for t in threading.enumerate() if t.name == "backend echo"]
    assert threading.active_count() <= before + 1  # asyncio's own worker may linger
