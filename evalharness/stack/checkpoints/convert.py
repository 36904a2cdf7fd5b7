"""Converts a checkpoint to a Hugging Face folder that other programs load as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.families import hub_config, tensor_names
from evalharness.stack.checkpoints.huggingface import write_folder
from evalharness.stack.checkpoints.load import open_checkpoint

if TYPE_CHECKING:
    import torch


def convert(source: Path, target: Path, dtype: torch.dtype | None = None) -> None:
    """Write the GGUF file or folder `source` as the new folder `target`, with the weights in `dtype` (fp32).

    The folder holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` with the pre-tokenizer written out,
    ``tokenizer_config.json`` with the chat template, and ``generation_config.json``.

    Raises:
        CheckpointError: `source` cannot be read, or `target` exists and is not empty.
    """
    import torch

    dtype = dtype or torch.float32
    checkpoint = open_checkpoint(source)
    tokenizer = checkpoint.tokenizer()
    names = {ours: hub for ours, hub, _ in tensor_names(checkpoint.config)}
    tensors = {names[ours]: tensor.to(dtype).contiguous() for ours, tensor in checkpoint.tensors()}
    values = hub_config(checkpoint.config, str(dtype).removeprefix("torch."))
    write_folder(target, checkpoint.config, values, tensors, tokenizer)
