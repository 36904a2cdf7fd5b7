"""rope over queries and keys of one projection, whole and partial, forward and with its backward pass.

python benchmarks/kernels/rope.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import both_passes, compiled, implementations, normal, options, tell

from evalharness.stack.kernels.rope import reference
from evalharness.stack.layers.rotary import rotary_frequencies, rotation


def main() -> None:
    asked = options(__doc__)
    tokens, heads, size = (8, 4, 32) if asked.small else (8192, 40, 128) if asked.device == "cuda" else (1024, 12, 64)
    x = normal(asked, tokens, heads, size, gradient=True)
    for turned in (size, size // 4):
        frequencies = rotary_frequencies(turned, 10_000.0)
        cos, sin = rotation(torch.arange(tokens, device=asked.device), frequencies, asked.dtype)
        shape = {"tokens": tokens, "heads": heads, "size": size, "turned": turned}

        def forward(function, cos=cos, sin=sin):
            return function(x, cos, sin)

        def both(function, forward=forward):
            return both_passes(forward(function), x)

        for passes, call, times in (("forward", forward, 2), ("both", both, 4)):
            calls = implementations("rope", asked, lambda module, call=call: call(module.rope))
            calls |= compiled(asked, call, reference.rope)
            tell("rope", passes, shape, calls, asked, bytes=times * x.nbytes)


if __name__ == "__main__":
    main()
