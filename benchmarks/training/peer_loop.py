"""The peer of throughput.py: transformers' GPT2LMHeadModel in the plain loop that one writes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from shape import Shape
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel


def peer(shape: Shape, initial: Path) -> tuple[Callable[[Tensor], float], Callable[[Tensor], float]]:
    """A step of training and a validation: each takes ids of shape [B, T + 1] and returns the mean loss."""
    sizes = {"vocab_size": shape.vocabulary, "n_positions": shape.context, "n_embd": shape.width}
    nothing = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": None, "eos_token_id": None}
    model = GPT2LMHeadModel(GPT2Config(**sizes, n_layer=shape.layers, n_head=shape.heads, use_cache=False, **nothing))
    model.load_state_dict(torch.load(initial))
    model.to(shape.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), **shape.adamw, fused=True)

    def loss_of(ids: Tensor) -> Tensor:
        with torch.autocast(shape.device, torch.bfloat16, enabled=shape.bf16):
            logits = model(input_ids=ids[:, :-1]).logits
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())

    run = torch.compile(loss_of) if shape.compiled else loss_of

    def step(ids: Tensor) -> float:
        loss = run(ids)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), shape.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    @torch.no_grad()
    def validate(ids: Tensor) -> float:
        return loss_of(ids).item()

    return step, validate
