"""What an engine did: tokens asked and computed, by depth in the prefix tree; memory; rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

STEP = 64
"""Positions of one row of the tree's picture."""


@dataclass(slots=True)
class Layer:
    """The prefix tree between two depths, `STEP` tokens apart."""

    asked: int = 0
    """Tokens that jobs asked for here, each for itself."""
    computed: int = 0
    branches: int = 0
    """Runs of tokens that begin here."""
    seconds: float = 0.0


@dataclass(slots=True)
class EngineReport:
    """Counts since `restart`; see `as_dict` for what each means to a reader."""

    kv_bytes_per_token: int
    requested: int = 0
    prefilled: int = 0
    decoded: int = 0
    missed: int = 0
    padding: int = 0
    steps: int = 0
    peak_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    layers: list[Layer] = field(default_factory=list)

    def ask(self, length: int) -> None:
        """A job asks for the first `length` tokens of a sequence."""
        self.requested += length
        for layer, count in self._parts(0, length):
            layer.asked += count

    def step(self, decoded: int, missed: int, prefilled: Iterable[tuple[int, int, bool]], seconds: float) -> None:
        """A pass that drew so many tokens of running texts, with rows that missed, and read parts of prompts.

        A part is (first position, the one after the last, whether a branch begins with it). Time is shared by rows.
        """
        parts = list(prefilled)
        rows = sum(end - begin for begin, end, _ in parts)
        self.steps += 1
        self.decoded += decoded
        self.missed += missed
        self.prefilled += rows
        each = seconds / max(1, decoded + missed + rows)
        self.prefill_seconds += each * rows
        self.decode_seconds += seconds - each * rows
        for begin, end, branch in parts:
            for layer, count in self._parts(begin, end):
                layer.computed += count
                layer.seconds += each * count
                layer.branches += branch
                branch = False

    def _parts(self, begin: int, end: int) -> Iterable[tuple[Layer, int]]:
        while len(self.layers) * STEP < end:
            self.layers.append(Layer())
        while begin < end:
            stop = min(end, (begin // STEP + 1) * STEP)
            yield self.layers[begin // STEP], stop - begin
            begin = stop

    def restart(self) -> None:
        """Count from here."""
        self.requested = self.prefilled = self.decoded = self.missed = self.padding = self.steps = self.peak_tokens = 0
        self.prefill_seconds = self.decode_seconds = 0.0
        self.layers = []

    def as_dict(self) -> dict[str, float]:
        """For the record of a run."""
        return {
            "tokens_requested": self.requested,
            "tokens_computed": self.prefilled,
            "tokens_decoded": self.decoded,
            "wrong_guesses": self.missed,
            "padding_rows": self.padding,
            "steps": self.steps,
            "peak_kv_bytes": self.peak_tokens * self.kv_bytes_per_token,
            "prefill_seconds": round(self.prefill_seconds, 3),
            "decode_seconds": round(self.decode_seconds, 3),
            "prefill_tokens_per_second": round(self.prefilled / self.prefill_seconds, 1) if self.prefill_seconds else 0,
            "decode_tokens_per_second": round(self.decoded / self.decode_seconds, 1) if self.decode_seconds else 0,
        }

    def tree(self) -> list[dict[str, float]]:
        """The prefix tree in layers, for the record of a run."""
        return [
            {
                "depth": number * STEP,
                "asked": layer.asked,
                "computed": layer.computed,
                "branches": layer.branches,
                "seconds": round(layer.seconds, 4),
            }
            for number, layer in enumerate(self.layers)
        ]
