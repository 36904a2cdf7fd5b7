"""rms_norm, alone and behind an addition, forward and with its backward pass.

python benchmarks/kernels/rms_norm.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

from providers import both_passes, compiled, implementations, liger, normal, options, tell

from evalharness.stack.kernels.rms_norm import reference

EPSILON = 1e-5


def main() -> None:
    asked = options(__doc__)
    rows, width = (8, 64) if asked.small else (8192, 4096) if asked.device == "cuda" else (1024, 576)
    shape, size = {"rows": rows, "width": width}, rows * width * asked.dtype.itemsize
    x, residual = (normal(asked, rows, width, gradient=True) for _ in range(2))
    weight = normal(asked, width, gradient=True)

    def forward(function):
        return function(x, weight, EPSILON)

    def both(function):
        return both_passes(function(x, weight, EPSILON), x, weight)

    for passes, call, moved in (("forward", forward, 2 * size), ("both", both, 5 * size)):
        calls = implementations("rms_norm", asked, lambda module, call=call: call(module.rms_norm))
        calls |= compiled(asked, call, reference.rms_norm)
        calls |= liger(asked, "rms_norm", lambda module, call=call: call(module.LigerRMSNormFunction.apply))
        tell("rms_norm", passes, shape, calls, asked, bytes=moved)

    def added(function):
        return function(x, residual, weight, EPSILON)

    calls = implementations("rms_norm", asked, lambda module: added(module.add_rms_norm))
    calls |= compiled(asked, added, reference.add_rms_norm)
    tell("add_rms_norm", "forward", shape, calls, asked, bytes=4 * size)


if __name__ == "__main__":
    main()
