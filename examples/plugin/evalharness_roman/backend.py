"""A backend: a "model" that follows a rule. ``--model roman:5`` is wrong about every multiple of five."""

from __future__ import annotations

import re

from evalharness.errors import UsageError
from evalharness.types import BackendInfo, Completion, Completions, GenerateRequest, Tokenizer, Wave
from evalharness_roman.numerals import numeral


class RomanBackend:
    """Answers what is asked in digits with a Roman numeral."""

    tokenizer: Tokenizer | None = None

    def __init__(self, mistakes: int) -> None:
        self._mistakes = mistakes
        self.info = BackendInfo(
            name=f"rule of Rome (wrong every {mistakes})" if mistakes else "rule of Rome",
            kind="roman",
            accepts=frozenset({"text"}),
            fingerprint=f"roman-{mistakes}",
            verbs=frozenset({"generate"}),
        )

    def answer(self, wave: Wave) -> None:
        for ticket in wave:
            request = ticket.request
            assert isinstance(request, GenerateRequest)  # the runner asks for nothing that `verbs` lacks
            ticket.begin()
            said = Completion(text=f" It is {self._numeral(request.prompt.text)}.", finish_reason="stop")
            ticket.resolve(Completions((said,) * request.n))

    def _numeral(self, prompt: str) -> str:
        asked = int(re.findall(r"\d+", prompt)[-1])
        wrong = self._mistakes and asked % self._mistakes == 0
        return numeral(asked + 1 if wrong else asked)

    def close(self) -> None: ...


def load(spec: str, **options: object) -> RomanBackend:
    """What stands behind the colon of --model; `options` are --dtype, --device and their like, of no use here."""
    if spec and not spec.isdigit():
        raise UsageError(f"--model roman:{spec}: give a number, such as roman:5 for a mistake at every fifth number.")
    return RomanBackend(int(spec or 0))
