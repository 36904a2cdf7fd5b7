"""What the engine is asked and what it answers.

The engine is handed a callable that yields the jobs which arrived since its last call; it calls it before each
step and serves until nothing is left and nothing arrives. Each job carries a `Listener`: it is told
when the job enters service and delivers the result as soon as that job is done, whatever else still runs.
Who has all jobs at hand calls `answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, cast, overload

from torch import Tensor

R = TypeVar("R", contravariant=True)

FinishReason = Literal["stop", "eos", "length"]
Likeliest = tuple[tuple[int, float], ...]
"""Tokens with their log-probabilities, the likeliest first."""


class Listener(Protocol[R]):
    """Who waits for a job. The engine calls it from the thread that it runs in."""

    @property
    def cancelled(self) -> bool:
        """True once nobody waits: the engine drops the job at its next step."""
        ...

    def begin(self) -> None:
        """The job is computed from now on; called once."""
        ...

    def done(self, result: R) -> None: ...

    def failed(self, error: Exception) -> None: ...


class Kept:
    """Keeps the result; what failed ends the engine's run."""

    cancelled = False
    result: Any = None

    def begin(self) -> None: ...

    def done(self, result: Any) -> None:
        self.result = result

    def failed(self, error: Exception) -> None:
        raise error


@dataclass(frozen=True, slots=True)
class Scores:
    """Of every token of ``ids[start:]``."""

    log_likelihoods: tuple[float, ...]
    """Natural logarithms."""
    greedy: tuple[bool, ...]
    """Whether each was the likeliest token."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One text drawn from a prompt."""

    ids: tuple[int, ...]
    """Every token drawn, the one that ended it included."""
    text: str
    """Text of the tokens, cut before the stop string that fired."""
    finish_reason: FinishReason
    stop: str | None = None
    """The stop string that fired."""
    log_probabilities: tuple[float, ...] | None = None
    """Of every token under the model alone, before anything changes or cuts it; None where they were not asked for."""
    likeliest: tuple[Likeliest, ...] = ()
    """The likeliest tokens at the position of each."""


class Constraint(Protocol):
    """What one text may say: a grammar, and how far the text has come in it."""

    @property
    def error(self) -> str | None:
        """Why the text cannot go on, where it cannot."""
        ...

    def allowed(self, count: int) -> Tensor:
        """Which of `count` tokens may come next, booleans of shape [count]."""
        ...

    def push(self, id: int) -> None:
        """The text goes on with this token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreJob:
    """Log-likelihood and greedy match of every token of ``ids[start:]``, each given all those before it."""

    ids: tuple[int, ...]
    start: int
    """At least 1."""
    user: Hashable = None
    """Whose job it is: what jobs of several users read is likely to be read again."""
    listener: Listener[Scores] = field(default_factory=Kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a token is drawn; `evalharness.stack.engine.sampler` says in which order."""

    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_k: int = 0
    """Keep the k likeliest; 0 keeps all."""
    top_p: float = 1.0
    """Keep the fewest likeliest that reach this probability."""
    min_p: float = 0.0
    """Keep those of at least this share of the likeliest one's probability."""
    repetition_penalty: float = 1.0
    """Divides the positive and multiplies the negative logits of every token of prompt and text."""
    presence_penalty: float = 0.0
    """Taken from the logit of every token of the text."""
    frequency_penalty: float = 0.0
    """Taken from the logit of every token of the text, each time it is there."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Added to the logits of these tokens."""
    seed: int = 0

    @property
    def cuts(self) -> bool:
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    @property
    def changes_logits(self) -> bool:
        penalties = self.repetition_penalty - 1, self.presence_penalty, self.frequency_penalty
        return any(penalties) or bool(self.logit_bias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GenerateJob:
    """`n` texts that continue one prompt."""

    ids: tuple[int, ...]
    """The prompt, at least one token."""
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    """Texts that end a generation."""
    eos_ids: frozenset[int] = frozenset()
    """Tokens that end a generation."""
    n: int = 1
    log_probabilities: int | None = None
    """Log-probabilities of the text's tokens, and of so many likeliest at each position; None asks for none."""
    constrain: Callable[[], Constraint] | None = None
    """Makes the constraint of each text."""
    continues: bool = False
    """A later job may go on from a text of this one: what was computed of it is kept where there is room."""
    user: Hashable = None
    """As in `ScoreJob`."""
    on_tokens: Callable[[int, Sequence[int]], None] | None = None
    """Called with (number of the text, its new tokens) as they are drawn; greedy texts are alike: only text 0's."""
    listener: Listener[tuple[Generation, ...]] = field(default_factory=Kept)


Job = ScoreJob | GenerateJob


class Service(Protocol):
    """What serves jobs: the engine, or the plain loop for models that the engine does not serve."""

    def run(self, arrivals: Callable[[], Iterable[Job]]) -> None: ...


@overload
def answers(service: Service, jobs: Sequence[ScoreJob]) -> list[Scores]: ...
@overload
def answers(service: Service, jobs: Sequence[GenerateJob]) -> list[tuple[Generation, ...]]: ...
@overload
def answers(service: Service, jobs: Sequence[Job]) -> list[Any]: ...
def answers(service: Service, jobs: Sequence[Job]) -> list[Any]:
    """The results of jobs that were made without a listener, in their order. An error of one is raised."""
    arriving = [jobs]
    service.run(lambda: arriving.pop() if arriving else ())
    return [cast(Kept, job.listener).result for job in jobs]
