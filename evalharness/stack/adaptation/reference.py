"""What the reference says of the answers of pairs: computed once, before the training, and kept in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from evalharness.stack.adaptation.batches import Pair, Referenced, chat_batch
from evalharness.stack.adaptation.dpo import PreferenceModel
from evalharness.stack.durable import write_whole
from evalharness.stack.errors import CheckpointError
from evalharness.stack.training.processes import Processes

if TYPE_CHECKING:
    from torch import Tensor

FILE = "reference.safetensors"
"""``log_probabilities`` [pairs, 2]: chosen, rejected; its metadata tell of what."""


def with_reference(
    pairs: Sequence[Pair],
    model: PreferenceModel,
    folder: Path,
    of: str,
    at_once: int,
    processes: Processes,
    note: Callable[[str], None] = lambda sentence: None,
) -> list[Referenced]:
    """The pairs with the log-probabilities by the model as it is now, or as it was when they were computed first.

    Args:
        of: what decides them, as a hash; others are computed anew.
        at_once: pairs that are computed together.
        note: hears a sentence where they have to be computed.
    """
    path = folder / FILE
    found = _kept(path, of, len(pairs))
    if found is None and processes.first:
        note(f"The log-probabilities of {len(pairs):,} pairs by the reference are computed once, into {path.name}.")
        found = _computed(pairs, model, at_once)
        _keep(path, of, found)
    processes.wait()
    if found is None:
        found = _kept(path, of, len(pairs))
    if found is None:
        raise CheckpointError(f"{path} is not what the first process has written; does every process see this folder?")
    return [Referenced(pair, *each) for pair, each in zip(pairs, found.tolist(), strict=True)]


@torch.no_grad()
def _computed(pairs: Sequence[Pair], model: PreferenceModel, at_once: int) -> Tensor:
    model.eval()
    device = model.inner.decoder.device
    parts = []
    for begin in range(0, len(pairs), at_once):
        some = pairs[begin : begin + at_once]
        batch = chat_batch([(answer,) for pair in some for answer in pair.answers])
        parts.append(model.log_probabilities(batch.to(device)).view(-1, 2).cpu())
    model.train()
    return torch.cat(parts)


def _keep(path: Path, of: str, found: Tensor) -> None:
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save({"log_probabilities": found}, metadata={"of": of}))


def _kept(path: Path, of: str, pairs: int) -> Tensor | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("of") != of:
                return None
            found: Tensor = file.get_tensor("log_probabilities")
    except (OSError, SafetensorError):
        return None
    return found if found.shape == (pairs, 2) else None
