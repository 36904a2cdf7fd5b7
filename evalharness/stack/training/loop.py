"""The order of events of a training.

A step takes a batch, adds up its gradients, and lets the optimizers act. What a training is at a step (weights,
optimizers, random numbers, the place in its data, the spikes seen) is in a checkpoint, so that one that is killed goes
on as if it had not been, and one whose loss jumps can go back.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.checkpoints import step_of
from evalharness.stack.training.data import DataEnded
from evalharness.stack.training.log import TensorBoard
from evalharness.stack.training.optimizers import set_rates
from evalharness.stack.training.schedules import rate_factor, sequences_at
from evalharness.stack.training.setup import Training
from evalharness.stack.training.spikes import Spike, SpikeDetector
from evalharness.stack.training.state import capture, restore
from evalharness.stack.training.step import Gradients, backward, mean_loss, update

Event = dict[str, Any]
"""A line of the log: `step`, and numbers or an `event`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the evaluation of a checkpoint says."""

    row: Mapping[str, Any]
    """Values that JSON knows."""
    stop: str | None = None
    """Why the training should end here, as a sentence."""


class Evaluator(Protocol):
    """Evaluates checkpoints while the training waits."""

    stops: bool
    """Whether the training ends where an evaluation says so."""

    def due(self, step: int) -> bool:
        """Whether the checkpoint after so many steps is evaluated; it is then written in any case."""
        ...

    def __call__(self, step: int, checkpoint: Path) -> Evaluation: ...


Ending = Literal["done", "asked", "evaluation", "data"]
"""All steps done; a signal; what an evaluation said; no more data."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    step: int
    """Steps done."""
    loss: float
    """Of the last step."""
    ending: Ending = "done"
    reason: str | None = None
    """Why it ended before its last step, as a sentence."""


@dataclass(slots=True)
class Window:
    """What has happened since the last line of the log."""

    losses: list[float] = field(default_factory=list)
    norm: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, gradients: Gradients, tokens: int, seconds: float) -> None:
        self.losses.append(gradients.loss)
        self.norm = max(self.norm, gradients.norm)
        self.tokens += tokens
        self.seconds += seconds


class Loop:
    """Runs a training from its newest checkpoint, or its beginning, to its end."""

    def __init__(self, training: Training, evaluator: Evaluator | None, tell: Callable[[Event], None]) -> None:
        self.training = training
        self.options = training.options
        self.evaluator = evaluator
        self._tell = tell
        self.step = 0
        """Steps done."""
        self.cursor = Cursor()
        self.tokens = 0
        self.seconds = 0.0
        self.rewinds = 0
        self.detector = SpikeDetector(self.options.spikes) if self.options.spikes else None
        self.window = Window()
        self.loss = math.nan
        self._board: TensorBoard | None = None

    def run(self, start: int | None = None) -> Outcome:
        """Train; `start` is the step of the checkpoint to go on from, the newest one unless given.

        Raises:
            TrainingError, CheckpointError, CorpusError: one sentence; the checkpoints are whole.
        """
        self._go_on_from(start)
        if self.options.tensorboard and self.training.processes.first:
            self._board = TensorBoard(self.training.folder / "tensorboard", self.step)
        with _signals() as asked:
            ending, reason = self._steps(asked)
            self._save()
            self.training.saver.wait()
        return Outcome(self.step, self.loss, ending, reason)

    def _steps(self, asked: Callable[[], bool]) -> tuple[Ending, str | None]:
        if self.step and (stop := self._evaluate()):
            return "evaluation", stop
        while self.step < self.options.steps:
            try:
                spike = self._take_step()
            except DataEnded as ended:
                self._log_window()
                return "data", str(ended)
            if spike is not None:
                self._go_back(spike)
            elif stop := self._after_step():
                return "evaluation", stop
            if asked():
                return "asked", "It was asked to stop; start the same command again, and it goes on."
        return "done", None

    # ----------------------------------------------------------------------- a step

    def _take_step(self) -> Spike | None:
        training, options = self.training, self.options
        began = time.perf_counter()
        sequences = sequences_at(options.batch, self.step)
        micro = options.batch.micro or sequences
        batches, cursor = training.batches.take(self.cursor, sequences, micro)
        gradients = backward(training.model, batches, training.processes, training.device, options.clip)
        if spike := self._spike(gradients):
            return spike
        set_rates(training.optimizers, rate_factor(options.schedule, self.step, options.steps))
        update(training.model, training.optimizers)
        tokens = sequences * options.data.context
        self.step, self.cursor, self.loss = self.step + 1, cursor, gradients.loss
        self.tokens += tokens
        self.window.add(gradients, tokens, time.perf_counter() - began)
        return None

    def _spike(self, gradients: Gradients) -> Spike | None:
        if self.detector is not None:
            return self.detector.observe(self.step, gradients.loss, gradients.norm)
        if not gradients.finite:
            raise TrainingError(
                f"step {self.step + 1}: the loss is {gradients.loss} and the gradient's norm {gradients.norm}. "
                f"{self._newest()} Lower the rate, or let the training leave such batches out (spikes)."
            )
        return None

    def _after_step(self) -> str | None:
        """Log, validate, save, evaluate, each where it is time; why the training ends, if an evaluation says so."""
        options, step = self.options, self.step
        last = step == options.steps
        if step % options.log_every == 0 or last:
            self._log_window()
        if self.training.source.held_out and (step % self.training.validate_every == 0 or last):
            self._validate()
        evaluated = self.evaluator is not None and self.evaluator.due(step)
        if step % options.checkpoints.every == 0 or last or evaluated:
            self._save()
        return self._evaluate() if evaluated else None

    def _log_window(self) -> None:
        window, self.window = self.window, Window()
        if not window.losses:
            return
        self.seconds += window.seconds
        rate = window.tokens / window.seconds
        self._log(
            {
                "step": self.step,
                "loss": math.fsum(window.losses) / len(window.losses),
                "rate_factor": rate_factor(self.options.schedule, self.step - 1, self.options.steps),
                "gradient_norm": window.norm,
                "tokens": self.tokens,
                "sequences": self.cursor.position,
                "seconds": round(self.seconds, 3),
                "tokens_per_second": round(rate, 1),
                "peak_share": self.training.peak_share(rate),
            }
        )

    def _validate(self) -> None:
        training, options = self.training, self.options
        count = options.validate_sequences or training.source.held_out
        batches = training.source.validation(count, options.batch.micro or options.batch.sequences)
        loss = mean_loss(training.inner, batches, training.processes, training.device)
        self._log({"step": self.step, "validation_loss": loss})

    def _log(self, event: Event) -> None:
        if self.training.processes.first:
            self.training.log.append(event)
            if self._board:
                self._board.write(event)
            self._tell(event)

    # ----------------------------------------------------------------------- evaluation

    def _evaluate(self) -> str | None:
        """Evaluate the checkpoint of this step, unless that was done before; why the training ends, if it does."""
        training, evaluator = self.training, self.evaluator
        if evaluator is None or not evaluator.due(self.step):
            return None
        stop: object = None
        if training.processes.first:
            training.saver.wait()
            rows = [row for row in training.evaluations.read() if row["step"] == self.step]
            if not rows:
                found = evaluator(self.step, training.store.at(self.step))
                rows = [{"step": self.step, **found.row, "stop": found.stop}]
                training.evaluations.append(rows[0])
                self._tell({"step": self.step, "event": "evaluation", **rows[0]})
            stop = rows[0]["stop"]
        stop = training.processes.from_first(stop)
        return str(stop) if stop and evaluator.stops else None

    # ----------------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        """Write the checkpoint of this step, unless it is there."""
        training = self.training
        if self.step == self._saved:
            return
        self._saved = self.step
        tensors, state = capture(training.named_parameters(), training.optimizers)
        if not training.processes.first:
            return
        facts = {
            "step": self.step,
            "model": training.config_json,
            "cursor": self.cursor.to_json(),
            "tokens": self.tokens,
            "seconds": self.seconds,
            "loss": self.loss,
            "rewinds": self.rewinds,
            "window": [self.window.losses, self.window.norm, self.window.tokens, self.window.seconds],
            "detector": self.detector.to_json() if self.detector else None,
            "log_bytes": training.log.size,
            "state": state,
        }
        weights = dict(training.named_parameters())
        training.saver.save(self.step, training.write_model, weights, tensors, facts)

    _saved = 0

    def _go_on_from(self, start: int | None) -> None:
        """Read the newest checkpoint, if there is one, and forget what was logged after it."""
        training = self.training
        path = training.store.newest() if start is None else training.store.at(start)
        if path is None:
            if training.processes.first:
                training.log.cut(0)
                training.evaluations.cut(0)
            return
        facts = self._read(path)
        if training.processes.first:
            training.store.drop_after(self.step)
            training.log.cut(facts["log_bytes"])
            self._drop_evaluations()
            self._tell({"step": self.step, "event": "resumed", "checkpoint": path.name})
        training.processes.wait()

    def _read(self, path: Path) -> dict[str, Any]:
        """Be what the checkpoint was."""
        training = self.training
        tensors, facts = training.store.read_state(path)
        training.load_model(path, facts)
        for note in restore(tensors, facts["state"], training.named_parameters(), training.optimizers):
            self._tell({"step": facts["step"], "event": "note", "text": note})
        self.step = self._saved = step_of(path)
        self.cursor = Cursor.from_json(facts["cursor"])
        self.tokens, self.seconds, self.loss = facts["tokens"], facts["seconds"], facts["loss"]
        self.rewinds = facts["rewinds"]
        self.window = Window(*facts["window"])
        if self.options.spikes:
            self.detector = SpikeDetector.from_json(self.options.spikes, facts["detector"])
        return facts

    def _go_back(self, spike: Spike) -> None:
        """Go on from the newest checkpoint before a spike, behind the data that was met in it."""
        training, options = self.training, self.options.spikes
        assert options is not None
        training.model.zero_grad(set_to_none=True)
        rewinds = self.rewinds + 1
        if rewinds > options.most:
            raise TrainingError(
                f"step {spike.step + 1}: {spike.reason}; the training has gone back {options.most} times already "
                f"(spikes.most). {self._newest()} Lower the rate, or look at the data."
            )
        found_at, cursor = self.step, self.cursor
        training.saver.wait()
        training.processes.wait()
        clean = [path for path in training.store.whole() if step_of(path) <= spike.since]
        self._log({"step": found_at + 1, "event": "spike", "since": spike.since + 1, "reason": spike.reason})
        if clean:
            self._read(clean[-1])
        else:
            self._begin_again()
        self.rewinds = rewinds
        # The batch of the step at which the spike was found is left out as well.
        skipped = sequences_at(self.options.batch, found_at) * (1 + options.skip)
        self.cursor = training.source.skip(cursor, skipped)
        if training.processes.first:
            training.store.drop_after(self.step)
            self._drop_evaluations()
        self._log(
            {
                "step": self.step,
                "event": "rewind",
                "from": found_at + 1,
                "skipped_sequences": self.cursor.position - cursor.position,
            }
        )
        training.processes.wait()

    def _begin_again(self) -> None:
        self.training.reset()
        self.step = self._saved = 0
        self.tokens, self.window = 0, Window()
        if self.options.spikes:
            self.detector = SpikeDetector(self.options.spikes)

    def _drop_evaluations(self) -> None:
        """Forget what was found of checkpoints that are no more on the way."""
        lines = self.training.evaluations
        rows = lines.read()
        kept = [row for row in rows if row["step"] <= self.step]
        if len(kept) < len(rows):
            lines.cut(0)
            for row in kept:
                lines.append(row)

    def _newest(self) -> str:
        path = self.training.store.newest()
        return f"The newest checkpoint is {path}." if path else "There is no checkpoint yet."


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether somebody asked to stop, by Ctrl-C or SIGTERM; a second time stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
