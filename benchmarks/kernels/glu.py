"""SwiGLU and GeGLU, forward and with the backward pass.

python benchmarks/kernels/glu.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

from providers import both_passes, compiled, implementations, liger, normal, options, tell

from evalharness.stack.kernels.glu import reference

LIGER = {"swish": ("swiglu", "LigerSiLUMulFunction"), "gelu_tanh": ("geglu", "LigerGELUMulFunction")}
"""Their modules and functions, which take gate and up apart."""


def main() -> None:
    asked = options(__doc__)
    rows, width = (8, 64) if asked.small else (8192, 14336) if asked.device == "cuda" else (1024, 1536)
    gate_up = normal(asked, rows, 2 * width, gradient=True)
    shape = {"rows": rows, "width": width}
    for activation, (module, name) in LIGER.items():

        def forward(function, activation=activation):
            return function(gate_up, activation)

        def theirs(function):
            return lambda x, _: function(*x.chunk(2, dim=-1))

        def both(function, forward=forward):
            return both_passes(forward(function), gate_up)

        # Forward reads two and writes one row; the backward pass reads three and writes two.
        for passes, call, times in (("forward", forward, 1.5), ("both", both, 4)):
            calls = implementations("glu", asked, lambda module, call=call: call(module.glu))
            calls |= compiled(asked, call, reference.glu)
            calls |= liger(asked, module, lambda found, call=call, name=name: call(theirs(getattr(found, name).apply)))
            tell(f"glu {activation}", passes, shape, calls, asked, bytes=times * gate_up.nbytes)


if __name__ == "__main__":
    main()
