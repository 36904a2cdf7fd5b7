"""run.json and results.json as models; their JSON schemas describe the files to other tools."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from pydantic import Field

from evalharness.records.format import FORMAT, RESULTS, RUN, SAMPLES
from evalharness.records.sample import Record, SampleRecord

Aggregate = Literal[
    "mean", "geometric_mean", "difference", "auroc", "corpus_bleu", "corpus_chrf", "corpus_ter", "corpus_kappa",
    "corpus_length_controlled",
]  # fmt: skip
State = Literal["running", "finished", "interrupted", "failed"]


class RunRecord(Record):
    """run.json: what was asked, of what, with what. Never a secret."""

    format: int = FORMAT
    """Version of the record format."""
    id: str
    """Name of the run: its folder's name unless that was chosen by the user."""
    state: State
    """running until it ends; interrupted by Ctrl-C, failed by an error. A killed run stays running."""
    created: str
    """When it began, ISO 8601, UTC."""
    finished: str | None = None
    """When it ended."""
    task: str
    """The task as tables name it: gsm8k, mmlu/astronomy, gsm8k_demo."""
    protocol: str
    """The protocol that was run."""
    definition: dict[str, Any]
    """The task's definition under that protocol with the user's changes."""
    task_source: str
    """The file that the definition was read from."""
    model: dict[str, Any]
    """name, kind, fingerprint, numerics, max_length, tokenizer fingerprint, details (dtype, device, file, ...)."""
    model_spec: str
    """What was typed behind --model."""
    options: dict[str, Any]
    """Every option of the request that was not left at its default."""
    settings: dict[str, Any]
    """What decides the result; two runs with equal settings are the same run."""
    hashes: dict[str, str]
    """protocol, demonstrations, content, settings."""
    samples: int
    """Samples of this run."""
    of: int | None = None
    """Samples of the whole benchmark; None where unknown."""
    data: list[dict[str, Any]]
    """Sources of the samples and demonstrations: kind, location, sha256, revision, split, config, n, of."""
    environment: dict[str, Any]
    """Versions, git commit, processor, threads, command line with secrets masked."""
    sandbox: dict[str, Any] | None = None
    """Where programs were executed: level of isolation, interpreter, ...; None where none was."""
    judge: dict[str, Any] | None = None
    """The judge model, in the words of `model`, with the `spec` that was typed; None where no model judged."""
    rescored_from: str | None = None
    """The run whose journal was scored again."""


class RepeatsRecord(Record):
    """One metric over the repeats of the samples that were elicited more than once (`stats.power.variance_parts`)."""

    repeats: float
    """Repeats of a sample; their harmonic mean."""
    between: float
    """Variance of the samples' own means: what more samples average out."""
    within: float
    """Mean variance of the repeats of one sample: what more repeats average out."""
    share: float | None
    """Which part of the square of the mean's standard error comes from the repeats; None without variance."""
    pass_at: list[float] = Field(default_factory=list)
    """pass@1, pass@2, ...: the chance that at least one of k repeats is right; empty where values are not 0 and 1."""
    pass_all: list[float] = Field(default_factory=list)
    """pass^1, pass^2, ...: the chance that all of k repeats are right."""


class ScoreRecord(Record):
    """One metric over the samples."""

    value: float | None
    """The estimate; None where no sample was scored."""
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    """Upper end of the 95 % interval."""
    standard_error: float | None = None
    """Standard error of the estimate."""
    interval: Literal["wilson", "exact", "t", "clustered t", "normal", "bca", "none"] = "none"
    """How the interval was found."""
    n: int
    """Scored samples."""
    higher_is_better: bool = True
    aggregate: Aggregate = "mean"
    """How the samples' values became one, weighted by the scores' weights; a difference is the mean of the samples of
    positive weight less that of the samples of negative weight, and auroc the area under the ROC curve that tells the
    former from the latter. Of a corpus's metric: from sums of the samples' parts,
    and the mean over the subsets, where there are several."""
    repeats: RepeatsRecord | None = None
    """Where the samples were elicited several times."""
    signature: str | None = None
    """Settings and version of the library that computed it, where one did."""


class EngineLayer(Record):
    """The prefix tree of an engine between two depths."""

    depth: int
    """Tokens from the root."""
    asked: int
    """Tokens that requests asked for here, each for itself."""
    computed: int
    branches: int
    """Runs of tokens that begin here."""
    seconds: float


class ResultsRecord(Record):
    """results.json: computed from the journal alone."""

    format: int = FORMAT
    """Version of the record format."""
    run: str
    """Id of the run."""
    scores: dict[str, ScoreRecord]
    """By metric; the first is the headline."""
    subsets: dict[str, dict[str, ScoreRecord]] = Field(default_factory=dict)
    """By subset, for tasks that have several."""
    groups: dict[str, dict[str, ScoreRecord]] = Field(default_factory=dict)
    """By group of subsets: every sample of the group counts alike."""
    samples: int
    """Samples in the journal."""
    of: int | None = None
    """Samples of the whole benchmark; None where unknown."""
    counts: dict[str, int]
    """Samples that were unparsed, truncated, empty, errored, cut."""
    verdicts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """By judge, how often it gave which label, over all repeats."""
    usage: dict[str, int]
    """requests, prompt_tokens, distinct_tokens, generated_tokens; of a resumed run, the sum over its sessions."""
    engine: dict[str, float] = Field(default_factory=dict)
    """Of our own stack's last session: tokens_requested, tokens_computed, tokens_decoded, wrong_guesses, padding_rows,
    steps, peak_kv_bytes, prefill_seconds, decode_seconds, prefill_tokens_per_second, decode_tokens_per_second."""
    engine_tree: list[EngineLayer] = Field(default_factory=list)
    """The prefix tree of that session, from the root down."""
    kernels: dict[str, list[str]] = Field(default_factory=dict)
    """Of our own stack's process so far: by op, which of its implementations computed (reference, torch, triton)."""
    spent: dict[str, float] = Field(default_factory=dict)
    """At a server: requests, attempts_again, refusals, prompt_tokens, completion_tokens, reasoning_tokens, cost (US
    dollars); with a cache: cache_hits, cache_misses. Of a resumed run, the sum over its sessions."""
    seconds: float
    """Time from the first request to the last answer, over all sessions."""
    note: str | None = None
    """What a reader must know: a bundled sample is not the benchmark."""


def score_record(
    values: Sequence[float],
    weights: Sequence[float],
    clusters: Sequence[str],
    *,
    aggregate: Aggregate,
    higher_is_better: bool,
    parts: Sequence[Sequence[float]] = (),
    subsets: Sequence[str | None] = (),
) -> ScoreRecord:
    """A metric over scored samples, with the interval that suits its values (`stats.intervals.estimate`); of a corpus's
    metric, from the samples' parts and subsets (`stats.corpus.corpus_estimate`)."""
    from evalharness.stats.intervals import Estimate, estimate

    if aggregate == "mean" or aggregate == "geometric_mean" or aggregate == "difference" or aggregate == "auroc":
        found = estimate(values, weights, aggregate, clusters=clusters)
    else:
        from evalharness.stats.corpus import corpus_estimate

        found = corpus_estimate(aggregate, parts, subsets, clusters) if parts else Estimate(value=math.nan, n=0)
    return ScoreRecord(
        value=found.value if found.n else None,
        low=found.low,
        high=found.high,
        standard_error=found.standard_error,
        interval=found.method,
        n=len(values),
        higher_is_better=higher_is_better,
        aggregate=aggregate,
    )


def repeats_record(values_of_samples: Sequence[Sequence[float]]) -> RepeatsRecord | None:
    """A metric over the repeats of samples; None where fewer than two samples have two repeats or more."""
    from evalharness.stats.power import variance_parts
    from evalharness.stats.repeats import pass_all, pass_at

    repeated = [values for values in values_of_samples if len(values) > 1]
    if len(repeated) < 2:
        return None
    parts = variance_parts(repeated)
    share = parts.share_of_repeats
    most = min(map(len, repeated)) if all(value in (0.0, 1.0) for values in repeated for value in values) else 0
    counts = [(len(values), int(sum(values))) for values in repeated] if most else []
    return RepeatsRecord(
        repeats=parts.repeats,
        between=parts.between,
        within=parts.within,
        share=None if math.isnan(share) else share,
        pass_at=[fmean(pass_at(n, right, k) for n, right in counts) for k in range(1, most + 1)],
        pass_all=[fmean(pass_all(n, right, k) for n, right in counts) for k in range(1, most + 1)],
    )


CHANGES = ("shots", "method", "repeats", "reducer", "chat", "system_prompt", "set")
"""Options that change what a protocol says."""


def protocol_of(record: RunRecord) -> str:
    """The protocol with what the user changed of it: ``default (method=direct, decode.temperature=0.7)``."""
    changes = ", ".join(changes_of(record))
    return f"{record.protocol} ({changes})" if changes else record.protocol


def changes_of(record: RunRecord) -> list[str]:
    """What the user changed of the protocol, each as ``decode.temperature=0.7``."""
    return [f"{key}={value}" for key, value in _leaves({key: record.options.get(key) for key in CHANGES})]


def perturbed_by(perturb: Sequence[str | Mapping[str, Any]]) -> str:
    """The entries of a task's `perturb:` as people read them: ``typos (rate=0.2) + option_order``."""
    return " + ".join(entry if isinstance(entry, str) else _named(entry) for entry in perturb)


def _named(entry: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key}={value}" for key, value in entry.items() if key != "perturbation")
    return f"{entry['perturbation']} ({options})" if options else str(entry["perturbation"])


def _leaves(options: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if key == "perturb" and value:
            yield key, perturbed_by(value)
        elif isinstance(value, Mapping):
            yield from _leaves(value, "" if key == "set" else f"{place}{key}.")
        elif value is not None:
            yield f"{place}{key}", value


def schemas() -> dict[str, Any]:
    """JSON schemas of a run's files by name; of samples.jsonl, that of one line."""
    return {
        RUN: RunRecord.model_json_schema(),
        SAMPLES: SampleRecord.model_json_schema(),
        RESULTS: ResultsRecord.model_json_schema(),
    }


def differences(before: Any, now: Any, place: str = "") -> list[str]:
    """Where two settings differ: ``model.details.dtype: float32 before, bfloat16 now``."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            difference
            for key in sorted(before.keys() | now.keys())
            for difference in differences(before.get(key), now.get(key), f"{place}.{key}" if place else key)
        ]
    return [] if before == now else [f"{place}: {before} before, {now} now"]
