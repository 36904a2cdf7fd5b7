"""Converts a checkpoint to a Hugging Face folder that other programs load as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.composed import COMPOSED
from evalharness.stack.architectures.families.known import FAMILIES
from evalharness.stack.checkpoints.adapted import open_adapted
from evalharness.stack.checkpoints.save import save_model, with_family
from evalharness.stack.errors import CheckpointError
from evalharness.stack.new_folder import new_folder

if TYPE_CHECKING:
    import torch


def convert(source: Path, target: Path, dtype: torch.dtype | None = None, adapter: Path | None = None) -> None:
    """Write the GGUF file or folder `source` as the new folder `target`, with the weights in `dtype` (fp32), and the
    LoRA adapter in the folder `adapter` merged into them.

    The folder holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` with the pre-tokenizer written out,
    ``tokenizer_config.json`` with the chat template, and ``generation_config.json``. It appears under its name only
    when it is complete.

    Raises:
        CheckpointError: `source` or `adapter` cannot be read, nothing would change since the parts are no family's, or
            `target` exists and is not empty.
    """
    import torch

    checkpoint = open_adapted(source, adapter)
    config = with_family(checkpoint.config)
    if config.architecture == COMPOSED and adapter is None:
        raise CheckpointError(
            f"{source} is made of parts that no family of Hugging Face's has ({', '.join(FAMILIES)} are known here); "
            "use the folder as it is."
        )
    tokenizer = checkpoint.tokenizer()
    weights = {name: tensor.to(dtype or torch.float32) for name, tensor in checkpoint.tensors()}
    with new_folder(target) as partial:
        save_model(partial, config, weights, tokenizer)
