"""The order of events of a training.

A step takes a batch, adds up its gradients, and lets the optimizers act. What a training is at a step (weights,
optimizers, random numbers, the place in its data, the spikes seen) is in a checkpoint, so that one that is killed goes
on as if it had not been, and one whose loss jumps can go back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from evalharness.stack.durable import LOCK, locked
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.checkpoints import step_of
from evalharness.stack.training.draws import DataEnded
from evalharness.stack.training.log import TensorBoard
from evalharness.stack.training.optimizers import set_rates
from evalharness.stack.training.progress import Progress, Window
from evalharness.stack.training.schedules import rate_factor, sequences_at
from evalharness.stack.training.setup import TrainingParts
from evalharness.stack.training.signals import asked_to_stop
from evalharness.stack.training.spikes import Spike
from evalharness.stack.training.step import Gradients, backward, mean_losses, update

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


class Loop:
    """Runs a training from its newest checkpoint, or its beginning, to its end."""

    def __init__(self, training: TrainingParts, evaluator: Evaluator | None, tell: Callable[[Event], None]) -> None:
        self.training = training
        self.options = training.options
        self.evaluator = evaluator
        self.at = Progress.at_start(self.options.spikes)
        self._told = tell
        self._saved = 0
        """The step of the last checkpoint."""
        self._noted = False
        """Whether it is written down which kernels compute."""
        self._board: TensorBoard | None = None

    def run(self, start: int | None = None) -> Outcome:
        """Train; `start` is the step of the checkpoint to go on from, the newest one unless given. Can be run once.

        Raises:
            TrainingError, CheckpointError, CorpusError: one sentence; the checkpoints are whole.
        """
        # However it ends, nothing is written into the folder afterwards: the next training may be in this process.
        with closing(self.training), closing(self.training.saver), self._alone():
            self._go_on_from(start)
            self._open_board()
            with asked_to_stop() as asked:
                ending, reason = self._steps(asked)
                self._save()
                self.training.saver.wait()
        return Outcome(self.at.step, self.at.loss, ending, reason)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """See that no other training goes on in the folder."""
        if not self.training.processes.first:
            yield
            return
        folder = self.training.folder
        with locked(folder / LOCK) as alone:
            if not alone:
                raise TrainingError(f"{folder}: another process is training here; wait for it, or give another folder.")
            yield

    def _steps(self, asked: Callable[[], bool]) -> tuple[Ending, str | None]:
        if stop := self._evaluate():
            return "evaluation", stop
        while self.at.step < self.options.steps:
            try:
                spike = self._take_step()
                if spike is not None:
                    self._go_back(spike)
            except DataEnded as ended:
                self._log_window()
                return "data", str(ended)
            if spike is None and (stop := self._after_step()):
                return "evaluation", stop
            # All processes end at the same step, though a signal may reach them at different ones.
            if self.training.any_process(asked()) and self.at.step < self.options.steps:
                return "asked", "It was asked to stop; start the same command again, and it goes on."
        return "done", None

    # ----------------------------------------------------------------------- a step

    def _take_step(self) -> Spike | None:
        training, options, at = self.training, self.options, self.at
        began = time.perf_counter()
        sequences = sequences_at(options.batch, at.step)
        batches, cursor = training.batches.take(at.cursor, sequences, training.micro(sequences))
        gradients = backward(training.model, batches, training.processes, training.device, options.clip)
        if spike := self._spike(gradients):
            return spike
        set_rates(training.optimizers, rate_factor(options.schedule, at.step, options.steps))
        update(training.model, training.optimizers)
        if not self._noted:
            self._noted = True
            training.note_kernels()
        tokens = training.tokens(batches, sequences)
        at.step, at.cursor, at.loss = at.step + 1, cursor, gradients.loss
        at.tokens += tokens
        at.window.add(gradients, tokens, time.perf_counter() - began)
        return None

    def _spike(self, gradients: Gradients) -> Spike | None:
        step = self.at.step
        if self.at.detector is not None:
            return self.at.detector.observe(step, gradients.loss, gradients.norm)
        if not gradients.finite:
            raise TrainingError(
                f"step {step + 1}: the loss is {gradients.loss} and the gradient's norm {gradients.norm}. "
                f"{self._newest()} Lower the rate, or let the training leave such batches out (spikes)."
            )
        return None

    def _after_step(self) -> str | None:
        """Log, validate, save, evaluate, each where it is time; why the training ends, if an evaluation says so."""
        options, step = self.options, self.at.step
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
        at, window = self.at, self.at.window
        at.window = Window()
        if not window.losses:
            return
        at.seconds += window.seconds
        rate = window.tokens / window.seconds
        self._log(
            {
                "step": at.step,
                "loss": math.fsum(window.losses) / len(window.losses),
                **_means(self.training.measures, window.measures),
                "rate_factor": rate_factor(self.options.schedule, at.step - 1, self.options.steps),
                "gradient_norm": window.norm,
                "tokens": at.tokens,
                "sequences": at.cursor.position,
                "seconds": round(at.seconds, 3),
                "tokens_per_second": round(rate, 1),
                "peak_share": round(self.training.peak_share(rate), 4),
            }
        )

    def _validate(self) -> None:
        training, options = self.training, self.options
        count = options.validate_sequences or training.source.held_out
        batches = training.validation(count)
        names = "loss", *training.measures
        found = mean_losses(training.inner, batches, training.processes, training.device, len(training.measures))
        told = {f"validation_{name}": value for name, value in zip(names, found, strict=True)}
        self._log({"step": self.at.step, **told})

    def _log(self, event: Event) -> None:
        if self.training.processes.first:
            self.training.log.append(event)
            if self._board:
                self._board.write(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        if self.training.processes.first:
            self._told(event)

    def _open_board(self) -> None:
        if self.options.tensorboard and self.training.processes.first:
            if self._board:
                self._board.close()
            self._board = TensorBoard(self.training.folder / "tensorboard", self.at.step)

    # ----------------------------------------------------------------------- evaluation

    def _evaluate(self) -> str | None:
        """Evaluate the checkpoint of this step, or what the training begins with, unless that was done before; why the
        training ends, if it does."""
        training, evaluator, step = self.training, self.evaluator, self.at.step
        if evaluator is None or not evaluator.due(step):
            return None
        stop: object = None
        if training.processes.first:
            training.saver.wait()
            rows = [row for row in training.evaluations.read() if row["step"] == step]
            if not rows:
                found = evaluator(step, self._model_of(step))
                rows = [{"step": step, **found.row, "stop": found.stop}]
                training.evaluations.append(rows[0])
                self._tell({"step": step, "event": "evaluation", **rows[0]})
            stop = rows[0]["stop"]
        stop = training.processes.from_first(stop)
        return str(stop) if stop and evaluator.stops else None

    def _model_of(self, step: int) -> Path:
        return self.training.start if step == 0 and self.training.start else self.training.store.at(step)

    # ----------------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        """Write the checkpoint of this step, unless it is there."""
        training = self.training
        if self.at.step == self._saved:
            return
        self._saved = self.at.step
        weights, tensors, state = training.capture()
        if not training.saves:
            return
        training.log.sync()
        told = {"model": training.config_json, "log_bytes": training.log.size, "state": state}
        training.saver.save(self.at.step, training.write_model, weights, tensors, {**self.at.to_json(), **told})

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
            training.log.cut(facts["log_bytes"])
            self._drop_later()
        self._tell({"step": self.at.step, "event": "resumed", "checkpoint": path.name})
        training.processes.wait()

    def _read(self, path: Path) -> Mapping[str, Any]:
        """Be what the checkpoint was."""
        training = self.training
        tensors, facts = training.store.read_state(path)
        training.load_model(path, facts)
        for note in training.restore(tensors, facts["state"]):
            self._tell({"step": facts["step"], "event": "note", "text": note})
        self.at = Progress.from_json(facts, self.options.spikes)
        self._saved = self.at.step
        return facts

    def _drop_later(self) -> None:
        """Forget the checkpoints of later steps, and what was found of them."""
        self.training.store.drop_after(self.at.step)
        self.training.evaluations.keep(lambda row: int(row["step"]) <= self.at.step)

    def _go_back(self, spike: Spike) -> None:
        """Go on from the newest checkpoint before a spike, behind the data that was met in it.

        Raises:
            TrainingError: it went back as often as it may.
            DataEnded: there is no data behind it.
        """
        training, spikes = self.training, self.options.spikes
        assert spikes is not None
        training.model.zero_grad(set_to_none=True)
        found, rewinds = self.at.step, self.at.rewinds + 1
        self._log({"step": found + 1, "event": "spike", "since": spike.since + 1, "reason": spike.reason})
        if rewinds > spikes.most:
            raise TrainingError(
                f"step {found + 1}: {spike.reason}; the training has gone back {spikes.most} times already "
                f"(spikes.most). {self._newest()} Lower the rate, or look at the data."
            )
        # The batch of the step at which the spike was found is left out as well.
        met = self.at.cursor
        behind = training.source.skip(met, sequences_at(self.options.batch, found) * (1 + spikes.skip))
        training.saver.wait()
        training.processes.wait()
        clean = [path for path in training.store.whole() if step_of(path) <= spike.since]
        if clean:
            self._read(clean[-1])
        else:
            training.reset()
            self.at, self._saved = Progress.at_start(spikes), 0
        left_out = behind.position - self.at.cursor.position
        self.at.rewinds, self.at.cursor = rewinds, behind
        if training.processes.first:
            self._drop_later()
        self._log({"step": self.at.step, "event": "rewind", "from": found + 1, "left_out_sequences": left_out})
        self._open_board()
        training.processes.wait()

    def _newest(self) -> str:
        self.training.saver.wait()
        path = self.training.store.newest()
        return f"The newest checkpoint is {path}." if path else "There is no checkpoint yet."


def _means(names: Sequence[str], rows: Sequence[Sequence[float]]) -> dict[str, float]:
    """The mean over rows of each named column."""
    return {name: math.fsum(column) / len(rows) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
