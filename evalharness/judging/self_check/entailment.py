"""SelfCheckGPT by entailment: a checkpoint for natural language inference compares each sentence with each text."""

from __future__ import annotations

import asyncio
from statistics import fmean
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import DataError
from evalharness.judging.base import Bench
from evalharness.judging.classifier import Classifier
from evalharness.judging.self_check.texts import Texts, texts_of, verdict
from evalharness.scoring.consistency import contradiction
from evalharness.types import Verdict


class SelfCheckEntailment(Classifier):
    """The mean probability that a further text contradicts a sentence, among contradiction and entailment alone.

    The further text is the premise and the sentence the hypothesis, as the paper has it (section 5.4); the authors'
    code feeds them the other way round. Their checkpoint is potsawee/deberta-v3-large-mnli.
    """

    templated: ClassVar[tuple[str, ...]] = ("checkpoint",)

    judge: str = "self_check_entailment"
    label: str = "contradiction"
    entailment: str = "entailment"
    """Name of the other label that counts."""
    max_tokens: int = Field(default=512, ge=8)
    """Longer pairs are cut in the further text."""

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        return (await asyncio.to_thread(self._compared, texts_of(bench)),)

    def _compared(self, texts: Texts) -> Verdict:
        with self._lock:
            scores = [
                fmean(self._contradicts(sample, sentence) for sample in texts.samples) for sentence in texts.sentences
            ]
        told = {"classifier": self.checkpoint, "fingerprint": (self.fingerprint or "")[:12]}
        return verdict(self.judge, scores, **told)

    def _contradicts(self, sample: str, sentence: str) -> float:
        import torch

        tokenizer, model, position = self._loaded
        fed = tokenizer(sample, sentence, return_tensors="pt", truncation="only_first", max_length=self.max_tokens)
        with torch.inference_mode():
            logits_L: Any = model(**fed).logits[0].double()
        return contradiction(float(logits_L[position]), float(logits_L[self._other(model)]))

    def _other(self, model: Any) -> int:
        positions = {name: int(position) for position, name in model.config.id2label.items()}
        if self.entailment not in positions:
            raise DataError(
                f"{self._where}.entailment: {self.checkpoint} has no label '{self.entailment}'; it has "
                f"{', '.join(positions)}."
            )
        return positions[self.entailment]
