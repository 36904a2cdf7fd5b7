"""The judge model of a run: one for all its cells, loaded only where one of them is judged by a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from evalharness.errors import UsageError
from evalharness.run.models import LOADED_WITH, load_backend
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell
from evalharness.types import Backend


class Judge:
    """Hands out the judge model beside each model that is measured, which may be the judge itself."""

    def __init__(self, spec: str, options: RunOptions) -> None:
        self.spec = spec
        self._options = options
        self._loaded: Backend | None = None

    def beside(self, spec: str, model: Backend) -> Backend:
        """The judge of what this model says; a model that is named as its own judge is not loaded twice.

        Raises:
            EvalHarnessError: it cannot be loaded.
        """
        if spec == self.spec and not self._options.judge_options:
            return model
        if self._loaded is None:
            self._loaded = load_backend(self.spec, _asked(self.spec, self._options))
        return self._loaded

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()


@contextmanager
def judge_for(cells: Sequence[Cell], options: RunOptions) -> Iterator[Judge | None]:
    """The judge model of these cells, closed in the end; None where no model is named or none of them asks one.

    Raises:
        UsageError: a judge model is named and no cell asks one.
    """
    if options.judge_model is None:
        yield None
        return
    if not any(cell.task.asks_judge for cell in cells):
        names = ", ".join(dict.fromkeys(cell.name for cell in cells))
        raise UsageError(f"--judge-model {options.judge_model}: no model judges {names}; leave it out.")
    judge = Judge(options.judge_model, options)
    try:
        yield judge
    finally:
        judge.close()


def _asked(spec: str, options: RunOptions) -> RunOptions:
    """What --model SPEC with the judge's own options would be; cache and time limit are the run's.

    Raises:
        UsageError: an impossible value.
    """
    known = {key: value for key, value in options.judge_options.items() if key in LOADED_WITH}
    own = {key: value for key, value in options.judge_options.items() if key not in LOADED_WITH}
    values: dict[str, Any] = {
        "task": options.task,
        "model": (spec,),
        "cache": options.cache,
        "time_limit": options.time_limit,
        "model_options": own,
        **known,
    }
    try:
        return RunOptions.model_validate(values)
    except ValueError as error:
        raise UsageError(f"--judge-option: {str(error).splitlines()[-1].strip()}") from None
