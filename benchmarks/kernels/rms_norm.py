"""rms_norm, alone and behind an addition, forward and with its backward pass.

python benchmarks/kernels/rms_norm.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

from providers import PLAIN, both_passes, compiled, every_dtype, implementations, liger, normal, shapes, tell
from torch.nn import functional as F

from evalharness.stack.kernels.rms_norm import reference

EPSILON = 1e-5


def plain(x, weight, epsilon):
    return F.rms_norm(x, x.shape[-1:], weight, epsilon)


def plain_added(x, residual, weight, epsilon):
    total = x + residual
    return plain(total, weight, epsilon), total


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(8, 64), large=(16384, 4096), line=(1024, 576), one=(1, 576), training=(4096, 128))
    for case, (rows, width) in kinds.items():
        shape, size = {"rows": rows, "width": width}, rows * width * asked.dtype.itemsize
        x, residual = (normal(asked, rows, width, gradient=rows > 1) for _ in range(2))
        weight = normal(asked, width, gradient=rows > 1)

        def forward(function, x=x, weight=weight):
            return function(x, weight, EPSILON)

        def both(function, x=x, weight=weight):
            return both_passes(function(x, weight, EPSILON), x, weight)

        for passes, call, moved in (("forward", forward, 2 * size), ("both", both, 5 * size)):
            if passes == "both" and rows == 1:
                continue
            calls = implementations("rms_norm", asked, lambda module, call=call: call(module.rms_norm))
            calls[PLAIN] = lambda call=call: call(plain)
            calls |= compiled(asked, call, reference.rms_norm)
            calls |= liger(asked, "rms_norm", lambda module, call=call: call(module.LigerRMSNormFunction.apply))
            tell("rms_norm", passes, shape, calls, asked, case=case, bytes=moved)

        def added(function, x=x, residual=residual, weight=weight):
            return function(x, residual, weight, EPSILON)

        calls = implementations("rms_norm", asked, lambda module, added=added: added(module.add_rms_norm))
        calls[PLAIN] = lambda added=added: added(plain_added)
        calls |= compiled(asked, added, reference.add_rms_norm)
        tell("rms_norm, behind an addition", "forward", shape, calls, asked, case=case, bytes=4 * size)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
