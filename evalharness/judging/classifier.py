"""How sure a text classifier is of one of its labels: any checkpoint for sequence classification, run here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import DataError, ServiceError
from evalharness.hashing import canonical_json, sha256_file, sha256_text
from evalharness.judging.base import Bench, Judge
from evalharness.types import Sample, Verdict

WEIGHTS = (".safetensors", ".bin")


class Classifier(Judge):
    """The probability of `label` by a Hugging Face checkpoint; the verdict's label is the likeliest one.

    Models of several labels that exclude each other give a softmax, those of `multi_label_classification` or of one
    output a sigmoid each. What a score means is the checkpoint's affair: its verdicts name the folder and a fingerprint
    of its files, and scores of two classifiers do not compare.
    """

    templated: ClassVar[tuple[str, ...]] = ("checkpoint",)

    judge: str = "classifier"
    checkpoint: str
    """Folder with config, tokenizer and weights (or a name of the hub that is in the local cache)."""
    label: str
    """Name of the label, as the checkpoint's `id2label` has it, whose probability is the score."""
    max_tokens: int = Field(default=512, ge=8)
    """Longer texts are cut at their end."""

    @cached_property
    def _lock(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        """Tokenizer, model, and the label's position.

        Raises:
            ServiceError: transformers is missing, or the checkpoint cannot be loaded.
            DataError: it has no such label.
        """
        try:
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise ServiceError(
                f"the judge 'classifier' needs transformers and torch ({error}); install both."
            ) from None
        folder = Path(self.checkpoint).expanduser()
        source = str(folder) if folder.is_dir() else self.checkpoint
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(source, local_files_only=True).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ServiceError(
                f"{self._where}.checkpoint: {self.checkpoint} cannot be loaded as a text classifier "
                f"({str(error).splitlines()[0]}); name a folder with config, tokenizer and weights."
            ) from None
        positions = {name: int(position) for position, name in model.config.id2label.items()}
        if self.label not in positions:
            raise DataError(
                f"{self._where}.label: {self.checkpoint} has no label '{self.label}'; it has {', '.join(positions)}."
            )
        return tokenizer, model, positions[self.label]

    @cached_property
    def fingerprint(self) -> str | None:
        """sha256 over the names and contents of the folder's files; None for a name of the hub."""
        folder = Path(self.checkpoint).expanduser()
        if not folder.is_dir():
            return None
        kept = [path for path in sorted(folder.iterdir()) if path.suffix in (*WEIGHTS, ".json", ".txt", ".model")]
        return sha256_text(canonical_json([[path.name, sha256_file(path)] for path in kept]))

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"classifier": self.fingerprint or self.checkpoint}

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        texts = [parsed.value or "" for parsed in bench.answers()]
        return await asyncio.to_thread(self._judged, texts)

    def _judged(self, texts: Sequence[str]) -> tuple[Verdict, ...]:
        import torch

        with self._lock:
            tokenizer, model, position = self._loaded
            names = model.config.id2label
            verdicts = []
            for number, text in enumerate(texts):
                fed = tokenizer(text, return_tensors="pt", truncation=True, max_length=self.max_tokens)
                with torch.inference_mode():
                    logits_L = model(**fed).logits[0].double()
                separate = len(logits_L) == 1 or model.config.problem_type == "multi_label_classification"
                probabilities_L = logits_L.sigmoid() if separate else logits_L.softmax(-1)
                verdicts.append(
                    Verdict(
                        judge=self.judge,
                        candidate=number,
                        label=str(names[int(probabilities_L.argmax())]),
                        details={
                            "score": float(probabilities_L[position]),
                            "of": self.label,
                            "classifier": self.checkpoint,
                            "fingerprint": (self.fingerprint or "")[:12],
                        },
                    )
                )
            return tuple(verdicts)
