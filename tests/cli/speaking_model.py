"""A model that was never trained and says one thing to everyone: each byte decides the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SAYS = " yes\n\n"
WIDTH = 288
"""A direction for each byte and more; a multiple of what attention heads need."""


def write(folder: Path, says: str = SAYS) -> Path:
    """A checkpoint's folder. Its one layer adds nothing, so the output matrix is a table of bytes."""
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.architectures.options import ModelOptions
    from evalharness.stack.checkpoints.save import save_model
    from evalharness.stack.training.tokenizer import byte_tokenizer

    tokenizer = byte_tokenizer()
    vocabulary = len(tokenizer.tokenizer.get_vocab())
    options = ModelOptions.model_validate({"layers": 1, "width": WIDTH, "heads": 4, "ffn_width": 32})
    config = options.to_config(vocab_size=vocabulary, max_length=1024, bos_id=None, eos_ids=(vocabulary - 1,))
    weights = {
        name: torch.ones_like(weight) if "norm" in name else torch.zeros_like(weight)
        for name, weight in Decoder(config).state_dict().items()
    }
    weights["embedding.weight"][:vocabulary, :vocabulary] = torch.eye(vocabulary)
    for before, after in zip(f":{says}".encode(), f"{says}\n".encode(), strict=True):
        weights["head.weight"][after, before] = 1.0
    folder.mkdir()
    save_model(folder, config, weights, tokenizer)
    return folder


def changed(source: Path, folder: Path, change: Any) -> Path:
    """A copy with changed weights."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
