"""The vocabulary that every stage shares: frozen records between stages, and the protocols of models.

The way of one sample reads down this page: a `Sample` is rendered into `Prompt`s and a `Reference`;
a method asks for them with `ScoreRequest`s and `GenerateRequest`s; a `Backend` answers with `Likelihood`s
and `Completion`s; what was said becomes an `Attempt`; parsers turn it into a `Parsed` answer and metrics
into a `Score`. Nothing here imports the rest of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant", "tool"]
Accepts = Literal["ids", "text", "messages"]
FinishReason = Literal["stop", "eos", "length", "cancelled", "unknown"]

# --------------------------------------------------------------------------- samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One document of a benchmark."""

    id: str
    """The row's own key, or its position in the original split; with a subset, ``subset/key``."""
    index: int
    """Position in the original split (of the subset), even where a mirror carries part of the rows."""
    row: Mapping[str, Any]
    """The columns as the source has them."""
    content_hash: str
    """sha256 of the canonical JSON of the columns that the task uses."""
    subset: str | None = None
    """The configuration it comes from where a task has several: ``astronomy`` of MMLU."""
    cluster: str | None = None
    """What samples of one source share (a passage, a scene); None where every sample stands alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What scoring needs to know of a sample; kept in the journal, so that re-scoring needs no data."""

    target: str | int | tuple[str, ...] | tuple[int, ...] | None = None
    """The right text or the position of the right choice; a tuple where any of several is right."""
    choices: tuple[str, ...] = ()
    """The choices as the continuations say them, without the delimiter before them."""
    units: Mapping[str, int] = field(default_factory=dict)
    """Lengths that perplexities are divided by: ``words``, ``bytes``, ``characters``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the task's `facts` say of the sample, for metrics that ask for more than what is right."""
    order: tuple[int, ...] = ()
    """Where a perturbation reordered the options: the position that each of them had before."""


# --------------------------------------------------------------------------- prompts and requests


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, before any chat template."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as a model is told of it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments, an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is put before a model, in each form a backend may accept; all made by one path."""

    messages: tuple[Message, ...]
    text: str
    """The rendered text: plain concatenation, or the model's chat template."""
    ids: tuple[int, ...] | None = None
    """Token ids of `text`, with exactly the BOS tokens that the tokenizer declares; None without a tokenizer."""
    cut: int = 0
    """Tokens cut from the left because the prompt was longer than the model's context."""
    tools: tuple[ToolSchema, ...] = ()
    """Tools that the model may call natively: a server is told of them, a chat template has shown them in `text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a completion is drawn. ``temperature`` 0 is greedy."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion; the completion is cut before the first of them."""
    seed: int = 0
    """Seed of this request's own random stream; two requests with one seed draw alike."""
    min_p: float = 0.0
    """Keep tokens of at least this share of the likeliest one's probability."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of every token of prompt and text (Keskar et al. 2019)."""
    presence_penalty: float = 0.0
    """Taken from the logit of every token of the text."""
    frequency_penalty: float = 0.0
    """Taken from the logit of every token of the text, each time it is there."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Added to the logits of these tokens."""
    log_probabilities: int | None = None
    """Ask for the log-probability of every token, and of so many likeliest ones at each position."""
    json_schema: str | None = None
    """JSON schema, as JSON, that the text must follow."""
    regex: str | None = None
    """Regular expression that the text must match from beginning to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request comes from. `replay` answers by it; engines ignore it."""

    task: str
    sample_id: str
    index: int
    repeat: int = 0
    call: int = 0
    """Number of this request within its repeat, in the order the method made them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Log-likelihood and greedy match of every token of ``ids[start:]``."""

    origin: Origin
    context: Prompt
    continuation: str
    ids: tuple[int, ...] | None
    """Context and continuation as one sequence; None where no tokenizer is known."""
    start: int
    """Position in `ids` of the first scored token, at least 1: a token is scored given those before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """`n` completions of one prompt."""

    origin: Origin
    prompt: Prompt
    sampling: Sampling
    n: int = 1
    continues: bool = False
    """A later request may go on from a completion of this one: an engine may keep what it computed."""
    on_tokens: Callable[[int, Sequence[int]], None] | None = None
    """Called from the backend's thread with (number of the completion, its new token ids)."""


Request = ScoreRequest | GenerateRequest

# --------------------------------------------------------------------------- what a backend answers


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Answer to a `ScoreRequest`: one entry a scored token (a replayed sum is one entry)."""

    log_likelihoods: tuple[float, ...]
    """Natural logarithms."""
    greedy: tuple[bool, ...]
    """Whether each token was the likeliest one."""

    @property
    def total(self) -> float:
        """Log-likelihood of the continuation, in nats."""
        return sum(self.log_likelihoods)

    @property
    def is_greedy(self) -> bool:
        """Whether greedy decoding would have said the whole continuation."""
        return all(self.greedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One generated text."""

    text: str
    ids: tuple[int, ...] = ()
    finish_reason: FinishReason = "unknown"
    stop: str | None = None
    """The stop string that fired."""
    log_probabilities: tuple[float, ...] | None = None
    """Of each token, in nats, under the model alone: before penalties, temperature and cuts."""
    likeliest: tuple[tuple[tuple[int, float], ...], ...] = ()
    """For each token: the likeliest ones at its place, with their log-probabilities."""
    reasoning: str | None = None
    """Thought that the model keeps apart from its answer; never parsed for the answer."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    """prompt_tokens, completion_tokens, reasoning_tokens: what a server says of the request, or of the thought."""
    seconds: float | None = None
    """From sending the request that was answered to its answer, where a server answers."""

    @property
    def cut_in_thought(self) -> bool:
        """Whether the tokens ran out before the answer began: then there is nothing to score."""
        return self.reasoning is not None and self.finish_reason == "length" and not self.text.strip()


@dataclass(frozen=True, slots=True)
class Completions:
    """Answer to a `GenerateRequest`: its n completions, in order."""

    completions: tuple[Completion, ...]


Result = Likelihood | Completions

# --------------------------------------------------------------------------- models


@runtime_checkable
class Tokenizer(Protocol):
    """Text to ids and back. `encode` adds no BOS or EOS; text that spells a special token becomes it."""

    @property
    def bos_id(self) -> int | None: ...

    @property
    def eos_id(self) -> int | None: ...

    @property
    def add_bos(self) -> bool:
        """Whether the model expects a BOS before a plain text."""
        ...

    @property
    def chat_template(self) -> str | None:
        """Jinja2 source, or None for a model without one."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Names that chat templates use: ``bos_token``, ``eos_token``, ..."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides its ids."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        ...


class Ticket(Protocol):
    """One request in a backend's hands. Safe to call from any thread."""

    @property
    def request(self) -> Request: ...

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the answer: drop the request at the next step."""
        ...

    def begin(self) -> None:
        """The request is in service from now on: its time limit starts to run."""
        ...

    def resolve(self, result: Result) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Wave(Protocol):
    """Requests handed down together, and those that arrive while they are being answered."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Ticket]: ...

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        """Tickets that arrived since the last call: an engine takes them in at its next step.

        Where there is none, waits up to `wait` seconds for one. A backend that answers a whole wave at once never
        calls it and is handed them as its next wave.
        """
        ...

    def more(self) -> bool:
        """Whether requests like these are still to come: samples of the same cell that have not been admitted.

        An engine keeps what they may share with those it has seen.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """What a record says of the model behind a backend."""

    name: str
    """For people and file names: ``SmolLM2-135M-Instruct (Q4_1)``."""
    kind: str
    """The backend: ``stack``, ``replay``, ..."""
    accepts: frozenset[Accepts]
    fingerprint: str
    """Hash of the weights' identity: two models with one fingerprint are one model."""
    numerics: str = "backend"
    """``exact``, ``fast``, or ``backend`` where nothing is promised."""
    max_length: int | None = None
    """Longest sequence of tokens, or None where not known."""
    immediate: bool = False
    """Feed requests at once instead of in waves (servers that schedule for themselves)."""
    verbs: frozenset[Literal["score", "generate"]] = frozenset({"score", "generate"})
    encoder_decoder: bool = False
    """Whether prompt and answer are two sequences to the model, so that it cannot say how likely a document is."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for the record: dtype, device, threads, file, quantisation."""


@runtime_checkable
class Backend(Protocol):
    """What answers requests. `answer` runs in a thread of its own and one wave at a time.

    Every ticket of the wave (and of those it took by `Wave.joined`) is resolved or failed before it returns;
    one that is neither is failed for it.
    """

    @property
    def info(self) -> BackendInfo: ...

    @property
    def tokenizer(self) -> Tokenizer | None: ...

    def answer(self, wave: Wave) -> None: ...

    def close(self) -> None: ...


# --------------------------------------------------------------------------- what was said, and its worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a method with its answer, as the journal keeps it."""

    prompt: Prompt
    sampling: Sampling | None = None
    """Set for a generation."""
    completions: tuple[Completion, ...] = ()
    continuations: tuple[str, ...] = ()
    """Set for a scoring: the scored texts (several choices of one context are one call)."""
    likelihoods: tuple[Likelihood, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One use of a tool by a method, for the model: what it was given and what came back."""

    tool: str
    arguments: Mapping[str, Any]
    result: str
    """What the model is shown."""
    status: str = "ok"
    """``ok``; ``invalid`` for arguments that do not fit; else what the tool calls its failure (``timeout``, ...)."""
    details: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    """Number of the step of a loop in which it was used, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStep:
    """One turn of a loop of thoughts, actions and observations."""

    thought: str
    action: str
    """As the model wrote it."""
    observation: str | None = None
    """What it was shown; None where the action ends the loop."""
    status: str = "ok"
    """``finished``; ``malformed`` for what is no action; else the status of the tool's use."""
    again: str | None = None
    """Why what the model wrote was no turn, so that its action was asked for again: a bad call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judge said of one candidate, raw: the journal keeps it, and metrics read it with no judge at hand."""

    judge: str
    """The judge's registered name: ``execution``, ..."""
    candidate: int
    """Number of the candidate in its attempt."""
    label: str
    """Of a program that was run: pass, fail, error, timeout, memory, output_limit or missing_package. Of a judge model:
    rated, win, loss, tie, inconsistent, a label of the task's own, unparsed, or error."""
    explanation: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts: of an execution the program, the level of isolation, seconds, whether the tests ran in the box;
    of a judge model its name, what it was asked and said, and what was read of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One sample, elicited once: what a method brings back."""

    calls: tuple[Call, ...]
    candidates: tuple[str, ...] = ()
    """Final texts to parse: one, or the n votes of self-consistency. Empty for scored tasks."""
    likelihoods: tuple[Likelihood, ...] = ()
    """Of the choices in order, of the one continuation, or of the document's windows."""
    tool_uses: tuple[ToolUse, ...] = ()
    """In the order in which the method made them."""
    steps: tuple[LoopStep, ...] = ()
    """Of a method that loops, in order."""
    verdicts: tuple[Verdict, ...] = ()
    """What the task's judges said of the candidates."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer found in a text, or why none was."""

    value: str | None
    span: tuple[int, int] | None = None
    """Characters of the text that it was read from."""
    why: str | None = None
    """Set when `value` is None."""


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one attempt."""

    value: float
    weight: float = 1.0
    """Share in the aggregate: words of the document for word perplexity, 1 elsewhere."""
    explanation: str | None = None
    parts: tuple[float, ...] = ()
    """Of a metric of the corpus (BLEU, say): the sample's counts, whose sums over all samples make the score."""
    undecided: bool = False
    """Whether the metric came to no end within its limits: then the value is the worst one, and is counted apart."""
