"""Policies that choose demonstrations. A choice depends on the sample alone, never on what ran before it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

from evalharness.errors import DataError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.demonstrations.options import DemonstrationOptions
from evalharness.types import Sample

LM_EVAL_SEED = 1234
"""lm-eval's default seed for demonstrations; other seeds of its protocol are added to it."""

Select = Callable[[Sample], Sequence[Sample]]


def selector(options: DemonstrationOptions, pool: Sequence[Sample], *, task: str, seed: int, pool_size: int) -> Select:
    """The function that names a sample's demonstrations, in the order they are shown.

    Args:
        pool: the rows to choose from, in their original order.
        pool_size: rows of the original pool, where `pool` is a part of it.

    Raises:
        UsageError: more demonstrations are wanted than the pool holds.
    """
    if options.shots == 0:
        return lambda sample: ()
    fixed = options.policy == "fixed" and options.positions is not None
    rows = _at(options.positions or (), pool, task) if fixed else pool
    most = len(rows) - (options.policy == "lm_eval" and options.extra_draw)
    if options.shots > most:
        there_are = f"demonstrations.positions names {len(rows)}" if fixed else f"the pool holds {len(rows)} rows"
        raise UsageError(
            f"{task}: {options.shots} demonstrations are wanted but {there_are}; ask for --shots {most} at most."
        )
    match options.policy:
        case "first_n" | "fixed":
            return lambda sample: _without(sample, rows, options.shots, task)
        case "random":
            return lambda sample: _random(sample, pool, options.shots, task, seed)
        case "lm_eval":
            if len(pool) < pool_size:
                raise UsageError(
                    f"{task}: lm-eval's sampler draws from all {pool_size} rows of the pool and "
                    f"{len(pool)} are here; use --set demonstrations.policy=random."
                )
            return _LmEval(options, pool, task, seed)


def demonstration_hash(options: DemonstrationOptions, pool: Sequence[Sample], seed: int) -> str:
    """Hash of what decides every sample's demonstrations: the rows shown, or the rule and the pool to draw from."""
    if options.shots == 0:
        return "none"
    if options.policy in ("first_n", "fixed"):
        by_position = {row.index: row for row in pool}
        positions = by_position if options.positions is None else options.positions
        rows = [by_position[position] for position in positions if position in by_position]
        # One row more than is shown: it stands in where a sample is its own demonstration.
        return sha256_text(canonical_json([row.content_hash for row in rows[: options.shots + 1]]))
    rule = [options.policy, options.shots, options.extra_draw, seed]
    return sha256_text(canonical_json([rule, [row.content_hash for row in pool]]))


def _without(sample: Sample, rows: Sequence[Sample], shots: int, task: str) -> Sequence[Sample]:
    """The first `shots` rows that are not the sample itself, whatever the split they are read from."""
    chosen = [row for row in rows[: shots + 1] if row.content_hash != sample.content_hash][:shots]
    if len(chosen) < shots:
        raise DataError(
            f"{task}: sample {sample.id} stands among its own {shots} demonstrations and the pool has no "
            "further row to take its place; ask for one shot less."
        )
    return chosen


def _at(positions: Sequence[int], pool: Sequence[Sample], task: str) -> Sequence[Sample]:
    by_position = {row.index: row for row in pool}
    missing = [position for position in positions if position not in by_position]
    if missing:
        raise DataError(f"{task}: demonstrations.positions names row {missing[0]}, which the pool does not have.")
    return [by_position[position] for position in positions]


def _random(sample: Sample, pool: Sequence[Sample], shots: int, task: str, seed: int) -> Sequence[Sample]:
    digest = hashlib.sha256(f"{seed}\n{task}\n{sample.id}".encode()).digest()
    drawn = random.Random(int.from_bytes(digest[:8], "big")).sample(pool, min(shots + 1, len(pool)))
    return _without(sample, drawn, shots, task)


class _LmEval:
    """lm-eval 0.4's sampler, whose random state is carried from document to document.

    It is replayed over the original positions, so that a sample's demonstrations are those of a whole run
    whatever `--limit` or a mirror's subset leaves out. Each subset of a task has a sampler of its own.
    """

    def __init__(self, options: DemonstrationOptions, pool: Sequence[Sample], task: str, seed: int) -> None:
        self._shots = options.shots
        self._extra = options.extra_draw
        self._pool = pool
        self._task = task
        self._state = random.Random(LM_EVAL_SEED + seed)
        self._draws: list[Sequence[int]] = []

    def __call__(self, sample: Sample) -> Sequence[Sample]:
        """
        Raises:
            DataError: the draw holds the sample itself twice. lm-eval draws anew there, which moves every later
                draw and cannot be replayed by position.
        """
        while len(self._draws) <= sample.index:
            self._draws.append(self._state.sample(range(len(self._pool)), self._shots + self._extra))
        drawn = [self._pool[position] for position in self._draws[sample.index]]
        if self._extra:
            drawn = [row for row in drawn if row.row != sample.row]
        if len(drawn) < self._shots:
            raise DataError(
                f"{self._task}: sample {sample.id} stands twice among its own demonstrations, because the "
                "pool repeats it; use --set demonstrations.policy=random."
            )
        return drawn[: self._shots]
