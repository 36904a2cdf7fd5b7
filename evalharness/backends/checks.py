"""What a backend that computes here refuses before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, ServiceError, UsageError
from evalharness.types import GenerateRequest, Origin, ScoreRequest

ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model takes."""

    name: str
    max_length: int | None
    """Most tokens that are fed; None where not known."""
    vocab_size: int | None
    """None where not known."""

    def scored(self, request: ScoreRequest, *, ended_by: int | None = None) -> tuple[int, ...]:
        """The ids of a request to score.

        Args:
            ended_by: tokens that are put behind what an encoder reads; None for a model without an encoder.

        Raises:
            UsageError: there are no ids, or the start is not among them.
            DataError: they are too many, or of another vocabulary.
        """
        ids = _given(request.ids)
        if not 1 <= request.start <= len(ids):
            raise UsageError(
                f"a score from token {request.start} of {len(ids)}: give a start between 1 and the length."
            )
        # The last token is scored but never fed: a sequence may be one token longer than the context.
        fed = len(ids) - 1 if ended_by is None else max(request.start + ended_by, len(ids) - request.start)
        self._check(ids, fed, request.origin)
        return ids

    def prompt(self, request: GenerateRequest, *, ended_by: int = 0) -> tuple[int, ...]:
        """The ids of a prompt; behind it an encoder reads `ended_by` more.

        Raises:
            UsageError: there are no ids, nothing is asked for, or a biased token is none of the vocabulary.
            DataError: the prompt is empty, too long, or of another vocabulary.
        """
        ids, sampling = _given(request.prompt.ids), request.sampling
        if not ids:
            raise DataError("the prompt is empty: a model needs at least one token to continue.")
        if sampling.max_tokens < 1 or request.n < 1:
            raise UsageError(f"max_tokens is {sampling.max_tokens} and n is {request.n}: each must be at least 1.")
        self._check(ids, len(ids) + ended_by, request.origin)
        for id, _ in sampling.logit_bias:
            if not self._knows(id):
                raise UsageError(f"logit_bias: token {id} is outside the model's vocabulary of {self.vocab_size}.")
        return ids

    def _check(self, ids: tuple[int, ...], fed: int, origin: Origin) -> None:
        place = f"{origin.task}, sample {origin.sample_id}"
        if self.max_length is not None and fed > self.max_length:
            raise DataError(
                f"{place}: {len(ids)} tokens are more than the {self.max_length} that {self.name} takes; "
                "shorten the prompt."
            )
        if not all(map(self._knows, ids)):
            raise DataError(
                f"{place}: a token id is outside the model's vocabulary of {self.vocab_size}; "
                "the tokenizer belongs to another model."
            )

    def most_tokens(self, request: GenerateRequest, prompt: int) -> int:
        """Tokens that a text may draw at most behind a prompt of so many tokens, at least 1."""
        room = request.sampling.max_tokens if self.max_length is None else self.max_length - prompt
        return max(1, min(request.sampling.max_tokens, room))

    def _knows(self, id: int) -> bool:
        return id >= 0 and (self.vocab_size is None or id < self.vocab_size)


def adapter_folder(spec: str) -> Path:
    """The folder of an adapter.

    Raises:
        UsageError: there is none.
    """
    path = Path(spec).expanduser()
    if not (path / ADAPTER).is_file():
        raise UsageError(f"--adapter {spec}: no {ADAPTER} there; give a folder that peft has written.")
    return path


def require_model(place: str, folder: Path) -> None:
    """Refuse a folder that holds an adapter in place of a model; `place` is what was asked for.

    Raises:
        UsageError: it does.
    """
    if (folder / ADAPTER).is_file():
        raise UsageError(f"{place}: this is an adapter; name its model, and add --adapter {folder}.")


def torch_device(name: str) -> Any:
    """Torch's device of this name, after trying it.

    Raises:
        ServiceError: torch cannot use it here.
    """
    import torch

    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ServiceError(f"--device {name}: torch cannot use it ({reason}); 'cpu' always works.") from None


def _given(ids: tuple[int, ...] | None) -> tuple[int, ...]:
    if ids is None:
        raise UsageError("this backend answers token ids only; render the prompt with the backend's tokenizer.")
    return ids
