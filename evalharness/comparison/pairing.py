"""Which samples of two runs are the same, and what says that the runs do not compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalharness.errors import NotComparableError
from evalharness.records.scores import SampleScores, Scores

SHOWN = 12
"""Digits of a hash that people see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two runs and the samples that both of them have."""

    baseline: Scores
    candidate: Scores
    samples: tuple[tuple[SampleScores, SampleScores], ...]
    """(the baseline's, the candidate's), sorted by id."""
    obstacles: tuple[str, ...] = ()
    """What would have forbidden the comparison, had it not been forced."""
    notes: tuple[str, ...] = ()
    """What a reader must know: samples that only one side has, arithmetic that differs."""


Across = Literal["nothing", "variants", "protocols"]
"""What may be asked in another way on purpose: nothing; the questions of one protocol, perturbed; any protocol."""


def paired(baseline: Scores, candidate: Scores, *, force: bool = False, across: Across = "nothing") -> Paired:
    """Pair two runs by the ids of their samples.

    Args:
        across: differences of the prompt that are a note in place of an obstacle.

    Raises:
        NotComparableError: they measured different things (unless `force`), or share no sample.
    """
    shared = sorted(baseline.samples.keys() & candidate.samples.keys())
    if not shared:
        raise NotComparableError(f"{_both(baseline, candidate)} share no sample: {_empty(baseline, candidate)}.")
    samples = tuple((baseline.samples[id], candidate.samples[id]) for id in shared)
    purpose = another_prompt(baseline, candidate, across)
    found = obstacles(baseline, candidate, samples, prompts=purpose is None)
    if found and not force:
        raise NotComparableError(f"{_both(baseline, candidate)} do not compare: {'; '.join(found)}.")
    return Paired(
        baseline=baseline,
        candidate=candidate,
        samples=samples,
        obstacles=tuple(found),
        notes=((purpose,) if purpose else ()) + tuple(_notes(baseline, candidate, len(shared))),
    )


def another_prompt(baseline: Scores, candidate: Scores, across: Across) -> str | None:
    """A note that the prompts differ on purpose; None where they do not differ, or not on a purpose within `across`."""
    same = [baseline.hashes.get(name, "") == candidate.hashes.get(name, "") for name in ("protocol", "demonstrations")]
    if all(same) or across == "nothing":
        return None
    of_one_protocol = same[1] and _unperturbed(baseline) == _unperturbed(candidate)
    if across == "variants" and not of_one_protocol:
        return None
    return f"another prompt: {_prompt(baseline)} here, {_prompt(candidate)} there"


def _unperturbed(scores: Scores) -> str:
    return scores.hashes.get("unperturbed") or scores.hashes.get("protocol", "")


def _prompt(scores: Scores) -> str:
    return f"protocol {scores.protocol}" + (f", {scores.variant}" if scores.variant else "")


def obstacles(
    baseline: Scores,
    candidate: Scores,
    samples: tuple[tuple[SampleScores, SampleScores], ...] = (),
    *,
    prompts: bool = True,
) -> list[str]:
    """What makes two runs measure different things, each a clause that names both sides.

    Args:
        prompts: whether protocol and demonstrations count.
    """
    found = []
    if baseline.task != candidate.task:
        found.append(f"the tasks are {baseline.task} and {candidate.task}")
    if baseline.version != candidate.version:
        found.append(f"the task's versions are {baseline.version} and {candidate.version}")
    judges = baseline.model.get("judge"), candidate.model.get("judge")
    if judges[0] != judges[1]:
        found.append(f"the judges are {judges[0] or 'no model'} and {judges[1] or 'no model'}")
    for name in ("protocol", "demonstrations") if prompts else ():
        old, new = baseline.hashes.get(name, ""), candidate.hashes.get(name, "")
        if old != new:
            named = f" ({baseline.protocol} and {candidate.protocol})" if name == "protocol" else ""
            found.append(f"the hash of the {name}{named} is {_short(old)} here and {_short(new)} there")
    differ = [old.id for old, new in samples if not _same_content(old.content_hash, new.content_hash)]
    if differ:
        found.append(
            f"{len(differ)} of {len(samples)} shared samples have another content hash, the first '{differ[0]}'"
        )
    return found


def _same_content(first: str, second: str) -> bool:
    """A baseline keeps the beginning of a hash only."""
    return first.startswith(second) or second.startswith(first)


def _notes(baseline: Scores, candidate: Scores, shared: int) -> list[str]:
    notes = []
    if shared < max(len(baseline.samples), len(candidate.samples)):
        notes.append(
            f"{shared} samples are shared, of {len(baseline.samples)} of the baseline and "
            f"{len(candidate.samples)} of the candidate; the others do not count"
        )
    for side, scores in (("baseline", baseline), ("candidate", candidate)):
        if scores.missing:
            notes.append(f"the {side} is unfinished: {len(scores.samples)} of {scores.asked} samples")
        if scores.failed:
            notes.append(f"{scores.failed} of {len(scores.samples)} samples of the {side} failed")
    for key in ("numerics", "dtype", "cpu", "torch"):
        old, new = baseline.model.get(key), candidate.model.get(key)
        if old != new and old is not None and new is not None:
            notes.append(f"{key}: {old} and {new}")
    old, new = (scores.model.get("weights", "as they are stored") for scores in (baseline, candidate))
    if old != new:
        notes.append(f"weights: {old} and {new}")
    if baseline.demo:
        notes.append("a bundled sample, not the benchmark")
    return notes


def _both(baseline: Scores, candidate: Scores) -> str:
    return f"{baseline.place} and {candidate.place}"


def _empty(baseline: Scores, candidate: Scores) -> str:
    for scores in (baseline, candidate):
        if not scores.samples:
            return f"{scores.place} has no sample"
    return f"their ids differ ('{next(iter(baseline.samples))}' and '{next(iter(candidate.samples))}')"


def _short(hash: str) -> str:
    return hash[:SHOWN] or "missing"
