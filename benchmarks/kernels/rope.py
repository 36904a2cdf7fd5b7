"""rope over queries and keys of one projection, whole and partial, forward and with its backward pass.

python benchmarks/kernels/rope.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from providers import PLAIN, both_passes, compiled, every_dtype, implementations, normal, shapes, tell

from evalharness.stack.kernels.rope import reference
from evalharness.stack.layers.rotary import rotary_frequencies, rotation


def plain(x, cos, sin):
    """As models of Hugging Face write it, whose sines have no sign."""
    turned = cos.shape[-1]
    front = x[..., :turned]
    first, second = front.chunk(2, dim=-1)
    front = front * cos + torch.cat((-second, first), dim=-1) * sin
    return front if turned == x.shape[-1] else torch.cat((front, x[..., turned:]), dim=-1)


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked, small=(8, 4, 32), large=(16384, 40, 128), line=(1024, 12, 64), one=(1, 12, 64), training=(16, 256, 8, 32)
    )
    for case, (*tokens, heads, size) in kinds.items():
        one = tokens == [1]
        x = normal(asked, *tokens, heads, size, gradient=not one)
        for turned in (size,) if one else (size, size // 4):
            frequencies = rotary_frequencies(turned, 10_000.0)
            cos, sin = rotation(torch.arange(tokens[-1], device=asked.device), frequencies, asked.dtype)
            shape = {"tokens": tokens, "heads": heads, "size": size, "turned": turned}

            def forward(function, x=x, cos=cos, sin=sin):
                return function(x, cos, sin)

            def both(function, x=x, cos=cos, sin=sin):
                return both_passes(function(x, cos, sin), x)

            for passes, call, times in (("forward", forward, 2), ("both", both, 4)):
                if passes == "both" and one:
                    continue
                calls = implementations("rope", asked, lambda module, call=call: call(module.rope))
                unsigned = torch.cat((-sin[..., : turned // 2], sin[..., turned // 2 :]), dim=-1)
                calls[PLAIN] = partial(call, lambda x, cos, _, unsigned=unsigned: plain(x, cos, unsigned))
                calls |= compiled(asked, call, reference.rope)
                name = "rope" if turned == size else "rope, partial"
                tell(name, passes, shape, calls, asked, case=case, bytes=times * x.nbytes)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
