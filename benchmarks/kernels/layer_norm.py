"""layer_norm, forward and with its backward pass.

python benchmarks/kernels/layer_norm.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

from providers import PLAIN, both_passes, compiled, every_dtype, implementations, liger, normal, shapes, tell
from torch.nn import functional as F

from evalharness.stack.kernels.layer_norm import reference


def plain(x, weight, bias, epsilon):
    return F.layer_norm(x, x.shape[-1:], weight, bias, epsilon)


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(8, 64), large=(16384, 4096), line=(1024, 576), one=(1, 576), training=(4096, 128))
    for case, (rows, width) in kinds.items():
        shape, size = {"rows": rows, "width": width}, rows * width * asked.dtype.itemsize
        x = normal(asked, rows, width, gradient=rows > 1)
        weight, bias = (normal(asked, width, gradient=rows > 1) for _ in range(2))

        def forward(function, given=(x, weight, bias)):
            return function(*given, 1e-5)

        def both(function, given=(x, weight, bias)):
            return both_passes(function(*given, 1e-5), *given)

        for passes, call, moved in (("forward", forward, 2 * size), ("both", both, 5 * size)):
            if passes == "both" and rows == 1:
                continue
            calls = implementations("layer_norm", asked, lambda module, call=call: call(module.layer_norm))
            calls[PLAIN] = lambda call=call: call(plain)
            calls |= compiled(asked, call, reference.layer_norm)
            calls |= liger(asked, "layer_norm", lambda module, call=call: call(module.LigerLayerNormFunction.apply))
            tell("layer_norm", passes, shape, calls, asked, case=case, bytes=moved)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
