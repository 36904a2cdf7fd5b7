"""What an engine did: tokens asked and computed, memory, rates."""

from __future__ import annotations

from dataclasses import dataclass


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

    def step(self, decoded: int, missed: int, prefilled: int, seconds: float) -> None:
        """A pass that drew so many tokens of running texts, with rows that missed, and read so many of prompts.

        Its time is shared by rows.
        """
        self.steps += 1
        self.decoded += decoded
        self.missed += missed
        self.prefilled += prefilled
        share = prefilled / max(1, decoded + missed + prefilled)
        self.prefill_seconds += seconds * share
        self.decode_seconds += seconds * (1 - share)

    def restart(self) -> None:
        """Count from here."""
        self.requested = self.prefilled = self.decoded = self.missed = self.padding = self.steps = self.peak_tokens = 0
        self.prefill_seconds = self.decode_seconds = 0.0

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
            "prefill_tokens_per_second": round(self.prefilled / self.prefill_seconds, 1) if self.prefill_seconds else 0,
            "decode_tokens_per_second": round(self.decoded / self.decode_seconds, 1) if self.decode_seconds else 0,
        }
