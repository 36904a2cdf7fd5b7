"""Small models of T5's kinds, as transformers makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.checkpoints.load import build_plain, open_checkpoint

VOCABULARY = 110
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "v1.0": SIZES,
    "v1.1": SIZES | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "odd": SIZES
    | {
        "d_kv": 12,
        "num_heads": 3,
        "num_decoder_layers": 3,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 20,
        "feed_forward_proj": "gated-silu",
        "layer_norm_epsilon": 1e-3,
        "decoder_start_token_id": 5,
    },
}
"""By name; the odd one has more layers in the decoder, and heads that are not the width in parts."""


def made(case: str) -> nn.Module:
    """transformers' model, norms and positions made visible by random numbers; v1.1 has a head of its own."""
    torch.manual_seed(3)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**CASES[case])).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.1
    if CASES[case].get("tie_word_embeddings") is False:
        model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, SIZES["d_model"]) * 0.2)
    return model


def loaded(folder: Path) -> EncoderDecoder:
    """Ours."""
    model = build_plain(open_checkpoint(folder), torch.float32, "cpu")
    assert isinstance(model, EncoderDecoder)
    return model


def drawn(length: int, seed: int = 0) -> Tensor:
    return torch.randint(2, VOCABULARY, (length,), generator=torch.Generator().manual_seed(1000 * seed + length))


def padded(lines: list[Tensor], *, left: bool) -> dict[str, Tensor]:
    """The lines as one batch."""
    longest = max(map(len, lines))
    rows, mask = [], []
    for line in lines:
        room = (longest - len(line), 0) if left else (0, longest - len(line))
        rows.append(nn.functional.pad(line, room))
        mask.append(nn.functional.pad(torch.ones_like(line), room))
    return {"input_ids": torch.stack(rows), "attention_mask": torch.stack(mask)}
