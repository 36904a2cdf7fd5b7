"""A line of samples.jsonl as a model: its JSON schema describes the journal to other tools.

Lines are written and read as plain dictionaries (`encode`), because there may be a million of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evalharness.types import FinishReason

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""JSON has no number that is not finite; its name stands for it."""


class Record(BaseModel):
    """Base of what describes a file of a run."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class SamplingRecord(Record):
    """How completions were drawn."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    """0 keeps all tokens."""
    stop: list[str]
    seed: int
    min_p: float | None = None
    """This and what follows is absent where it changes nothing."""
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: list[tuple[int, float]] | None = None
    log_probabilities: int | None = None
    """Likeliest tokens that were asked for at each place."""
    json_schema: str | None = None
    regex: str | None = None


class CompletionRecord(Record):
    """One generated text."""

    text: str
    finish_reason: FinishReason
    stop: str | None = None
    """The stop string that fired."""
    tokens: int | None = None
    """Generated tokens."""
    log_probabilities: list[Number] | None = None
    """Of each token, in nats."""
    likeliest: list[list[tuple[int, Number]]] | None = None
    """For each token: the likeliest ones at its place, with their log-probabilities."""
    reasoning: str | None = None
    """Thought that the model keeps apart from its answer."""
    tool_calls: list[dict[str, Any]] | None = None
    usage: dict[str, int] | None = None
    """prompt_tokens, completion_tokens, reasoning_tokens, where a server told them or a thought was kept apart."""
    seconds: float | None = None
    """From sending the request to its answer, where a server answered."""


class ToolRecord(Record):
    """A tool as the model was told of it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments."""


class CallRecord(Record):
    """One call of a method: a generation has completions, a scoring has continuations."""

    prompt: str
    """The text that was sent, or that the sent ids say."""
    tokens: int | None = None
    """Tokens of the prompt; absent without a tokenizer."""
    cut: int | None = None
    """Tokens cut from the prompt's left, where there were any."""
    tools: list[ToolRecord] | None = None
    """What the model was told that it may call natively; a chat template has put it into the prompt."""
    sampling: SamplingRecord | None = None
    completions: list[CompletionRecord] | None = None
    continuations: list[str] | None = None
    log_likelihoods: list[list[Number]] | None = None
    """By continuation and token, in nats."""
    greedy: list[list[bool]] | None = None
    """By continuation and token: whether the token was the likeliest; empty where that is not known."""


class VerdictRecord(Record):
    """What a judge said of one candidate."""

    judge: str
    """The judge's name."""
    candidate: int
    """Number of the candidate in its repeat."""
    label: str
    """Of a program that was run: pass, fail, error, timeout, memory, output_limit or missing_package. Of a judge model:
    rated, win, loss, tie, inconsistent, a label of the task's own, unparsed, or error."""
    explanation: str | None = None
    """Of an execution: the assertion that does not hold, the exception, the limit that was reached."""
    details: dict[str, Any] | None = None
    """Of an execution: program, level of isolation, in_box, seconds, and the ends of stdout and stderr. Of a judge
    model: model, asked (prompt, said, log_likelihoods, error, ...), score, scale, preference, orders, probabilities."""


class ToolUseRecord(Record):
    """One use of a tool by a method, for the model."""

    tool: str
    arguments: dict[str, Any]
    result: str
    """What the model was shown."""
    status: str | None = None
    """Absent where all went well; invalid for arguments that do not fit, or what the tool calls its failure."""
    details: dict[str, Any] | None = None
    step: int | None = None
    """Number of the step of a loop in which it was used, from 1."""


class StepRecord(Record):
    """One turn of a loop of thoughts, actions and observations."""

    thought: str
    action: str
    """As the model wrote it."""
    observation: str | None = None
    """What the model was shown; absent where the action ended the loop."""
    status: str | None = None
    """Absent where all went well; finished; malformed for what is no action; else the status of the tool's use."""
    again: str | None = None
    """Why what the model wrote was no turn, so that its action was asked for again: a bad call."""


class RepeatRecord(Record):
    """The sample, elicited and scored once."""

    answer: str | None = None
    """What was parsed; absent where the task parses nothing."""
    why: str | None = None
    """Why nothing was found."""
    span: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """Characters of the text that the answer was read from."""
    votes: dict[str, int] | None = None
    """By answer, where several candidates voted."""
    scores: dict[str, Number]
    explanations: dict[str, str] | None = None
    """By metric, why the score is what it is, of those metrics whose explanations are worth keeping."""
    candidates: list[str] | None = None
    """The texts that were parsed, where they are not the completions of the last call."""
    log_likelihoods: list[list[Number]] | None = None
    """What was scored, where it is not the likelihoods of the last call."""
    greedy: list[list[bool]] | None = None
    verdicts: list[VerdictRecord] | None = None
    """What the task's judges said of the candidates."""
    tool_uses: list[ToolUseRecord] | None = None
    """In the order in which the method made them."""
    steps: list[StepRecord] | None = None
    """Of a method that loops, in order."""
    calls: list[CallRecord]


class SampleRecord(Record):
    """One finished sample. Where the journal has two lines of one id, the later one counts."""

    task: str
    id: str
    """The row's own key, or its position in the original split; with a subset, subset/key."""
    index: int
    """Position in the original split."""
    subset: str | None = None
    content_hash: str
    """sha256 of the canonical JSON of the columns that the task uses."""
    cluster: str | None = None
    """What samples of one source share; absent where every sample stands alone."""
    target: str | int | list[str] | list[int] | None
    """The right text or the position of the right choice; a list where any of several is right."""
    choices: list[str] | None = None
    units: dict[str, int] | None = None
    """Lengths that perplexities are divided by."""
    facts: dict[str, Any] | None = None
    """What metrics know of the sample beside what is right, as the task's `facts` say."""
    order: list[int] | None = None
    """Where a perturbation reordered the options: the position that each of them had before."""
    completions: list[str]
    """Every generated text, in order: by repeat, then call, then number."""
    log_likelihoods: list[Number]
    """Sums over tokens, in the order of the choices (or of the one continuation), of the first repeat."""
    greedy: list[bool | None]
    """Whether greedy decoding would have said each of them; null where that is not known."""
    answer: str | None
    """What most repeats answered; of tied answers the first."""
    scores: dict[str, Number]
    """By metric, the repeats reduced to one; empty where the sample failed."""
    weights: dict[str, float] | None = None
    """Shares in the aggregates, where they are not 1."""
    parts: dict[str, list[float]] | None = None
    """By metric of the corpus (BLEU, say), the sample's counts, whose sums make the score."""
    flags: list[Literal["unparsed", "truncated", "empty", "errored", "cut", "undecided"]]
    error: str | None = None
    """Why the sample failed."""
    repeats: list[RepeatRecord]
