"""The selective scan of Mamba, forward and with the backward pass; on a GPU beside mamba_ssm's, where it is installed.

python benchmarks/kernels/selective_scan.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util

import torch
from providers import PLAIN, Call, every_dtype, implementations, normal, shapes, tell
from torch.nn import functional as F


def plain(x, delta, A, B, C, state):
    """Token by token."""
    outputs = []
    for token in range(x.shape[1]):
        decay = torch.exp(delta[:, token, :, None] * A)
        state = decay * state + (delta[:, token] * x[:, token]).unsqueeze(-1) * B[:, token, None]
        outputs.append((state * C[:, token, None]).sum(-1))
    return torch.stack(outputs, dim=1), state


def mamba_ssm(asked: argparse.Namespace, call) -> dict[str, Call]:
    """Its CUDA kernel, which has the tokens behind the channels and begins with a state of zero."""
    if asked.device != "cuda" or importlib.util.find_spec("mamba_ssm") is None:
        return {}
    function = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn

    def theirs(x, delta, A, B, C, _):
        turned = (each.transpose(1, 2) for each in (x, delta, B, C))
        x, delta, B, C = turned
        y, state = function(x, delta.to(x.dtype), A, B, C, return_last_state=True)
        return y.transpose(1, 2), state

    return {"mamba_ssm": lambda: call(theirs)}


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked,
        small=(1, 6, 2, 2),
        large=(4, 2048, 4096, 16),
        line=(1, 256, 1536, 16),
        one=(1, 1, 1536, 16),
        training=(8, 128, 128, 16),
    )
    for case, (batch, tokens, channels, numbers) in kinds.items():
        x, B, C = (normal(asked, batch, tokens, width) for width in (channels, numbers, numbers))
        delta = F.softplus(normal(asked, batch, tokens, channels).float() - 2)
        A = -torch.arange(1.0, numbers + 1, device=asked.device).expand(channels, numbers).contiguous()
        inputs = (x, delta, A, B, C, torch.zeros(batch, channels, numbers, device=asked.device))
        shape = {"batch": batch, "tokens": tokens, "channels": channels, "numbers": numbers}

        def forward(function, inputs=inputs):
            with torch.inference_mode():
                return function(*inputs)

        def both(function, inputs=inputs):
            given = [each.detach().requires_grad_() for each in inputs]
            y, state = function(*given)
            return torch.autograd.grad((y, state), given, (torch.ones_like(y), torch.ones_like(state)))

        # Forward reads x and delta and writes y; the backward pass reads these two and the gradient, and writes two.
        for passes, call, narrow, wide in (("forward", forward, 1, 2), ("both", both, 3, 5)):
            if passes == "both" and tokens == 1:
                continue
            calls = implementations("selective_scan", asked, lambda module, call=call: call(module.selective_scan))
            calls[PLAIN] = lambda call=call: call(plain)
            calls |= mamba_ssm(asked, call)
            moved = narrow * x.nbytes + wide * delta.nbytes
            tell("selective_scan", passes, shape, calls, asked, case=case, bytes=moved)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
