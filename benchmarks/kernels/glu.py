"""SwiGLU and GeGLU, forward and with the backward pass.

python benchmarks/kernels/glu.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from functools import partial

from providers import PLAIN, both_passes, compiled, every_dtype, implementations, liger, normal, shapes, tell
from torch.nn import functional as F

from evalharness.stack.kernels.glu import reference

LIGER = {"swish": ("swiglu", "LigerSiLUMulFunction"), "gelu_tanh": ("geglu", "LigerGELUMulFunction")}
"""Their modules and functions, which take gate and up apart."""
ACTIVATIONS = {"swish": F.silu, "gelu_tanh": partial(F.gelu, approximate="tanh")}


def plain(gate_up, activation):
    gate, up = gate_up.chunk(2, dim=-1)
    return ACTIVATIONS[activation](gate) * up


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(8, 64), large=(8192, 14336), line=(1024, 1536), one=(1, 1536), training=(4096, 320))
    for case, (rows, width) in kinds.items():
        gate_up = normal(asked, rows, 2 * width, gradient=rows > 1)
        shape = {"rows": rows, "width": width}
        for activation, (module, name) in LIGER.items():

            def forward(function, gate_up=gate_up, activation=activation):
                return function(gate_up, activation)

            def theirs(function):
                return lambda x, _: function(*x.chunk(2, dim=-1))

            def both(function, gate_up=gate_up, activation=activation):
                return both_passes(function(gate_up, activation), gate_up)

            # Forward reads two and writes one row; the backward pass reads three and writes two.
            for passes, call, times in (("forward", forward, 1.5), ("both", both, 4)):
                if passes == "both" and rows == 1:
                    continue
                calls = implementations("glu", asked, lambda module, call=call: call(module.glu))
                calls[PLAIN] = lambda call=call: call(plain)
                calls |= compiled(asked, call, reference.glu)
                calls |= liger(
                    asked, module, lambda found, call=call, name=name: call(theirs(getattr(found, name).apply))
                )
                tell(f"glu, {activation}", passes, shape, calls, asked, case=case, bytes=times * gate_up.nbytes)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
