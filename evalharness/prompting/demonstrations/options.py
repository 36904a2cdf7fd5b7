"""The section `demonstrations` of a task file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from evalharness.data.options import PromptFileOptions
from evalharness.options import Options

Policy = Literal["first_n", "fixed", "random", "lm_eval"]


class DemonstrationOptions(Options):
    """Where demonstrations come from, how many, and how they are chosen."""

    shots: int = Field(default=0, ge=0)
    """How many stand before each question."""
    policy: Policy = "first_n"
    """first_n: the first rows of the pool. fixed: the given `rows`, or the given `positions` of the pool.
    random: drawn for each sample by hash of (seed, task, sample id). lm_eval: lm-eval's stateful sampler."""
    split: str | None = None
    """The pool: a split of the same data set."""
    file: str | None = None
    """The pool: a local file of rows, beside the task file or absolute."""
    rows: tuple[dict[str, Any], ...] | None = None
    """The pool itself, written down."""
    prompt_file: PromptFileOptions | None = None
    """The pool: the worked questions of a published prompt, as rows with the columns input and answer."""
    positions: tuple[int, ...] | None = None
    """For `fixed`: positions in the pool's original split."""
    extra_draw: bool = False
    """For `lm_eval`: draw one more and drop the sample itself, as it does where its shots come from the split
    that is scored, or where it has no split for them."""

    @model_validator(mode="after")
    def _one_pool(self) -> DemonstrationOptions:
        if sum(pool is not None for pool in self._pools) > 1:
            raise ValueError("give one pool only: split, file, rows or prompt_file.")
        if self.policy == "fixed" and self.rows is None and self.positions is None:
            raise ValueError("the policy 'fixed' takes rows, or positions in the pool.")
        return self

    @property
    def _pools(self) -> tuple[object, ...]:
        return self.split, self.file, self.rows, self.prompt_file

    @property
    def has_pool(self) -> bool:
        return any(pool is not None for pool in self._pools)
