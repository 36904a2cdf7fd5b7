"""layer_norm, forward and with its backward pass.

python benchmarks/kernels/layer_norm.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

from providers import both_passes, compiled, implementations, liger, normal, options, tell

from evalharness.stack.kernels.layer_norm import reference


def main() -> None:
    asked = options(__doc__)
    rows, width = (8, 64) if asked.small else (8192, 4096) if asked.device == "cuda" else (1024, 768)
    shape, size = {"rows": rows, "width": width}, rows * width * asked.dtype.itemsize
    x, weight, bias = (
        normal(asked, rows, width, gradient=True),
        *(normal(asked, width, gradient=True) for _ in range(2)),
    )

    def forward(function):
        return function(x, weight, bias, 1e-5)

    def both(function):
        return both_passes(forward(function), x, weight, bias)

    for passes, call, moved in (("forward", forward, 2 * size), ("both", both, 5 * size)):
        calls = implementations("layer_norm", asked, lambda module, call=call: call(module.layer_norm))
        calls |= compiled(asked, call, reference.layer_norm)
        calls |= liger(asked, "layer_norm", lambda module, call=call: call(module.LigerLayerNormFunction.apply))
        tell("layer_norm", passes, shape, calls, asked, bytes=moved)


if __name__ == "__main__":
    main()
