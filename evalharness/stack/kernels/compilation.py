"""``python -m evalharness.stack.kernels.compilation``: compiles the table's Triton kernels for GPUs that are not here.

Without arguments every op, else those named, and with ``--brief`` one build of each for one target in turn;
prints a line of JSON a build. Needs no GPU: Triton brings the assembler.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import cycle, product

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.op import Signature
from evalharness.stack.kernels.table import OPS, op
from evalharness.stack.kernels.told import interpreted

TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "gfx942": ("hip", "gfx942", 64)}
"""What Triton calls them: backend, architecture, threads of a warp."""
BINARIES = {"cuda": "cubin", "hip": "hsaco"}


@dataclass(frozen=True, slots=True)
class Build:
    """One kernel for one kind of numbers and one choice of constants."""

    op: str
    signature: Signature
    dtype: str
    number: int
    """Of the mapping among the signature's `constants`."""


def builds(names: tuple[str, ...] = OPS) -> Iterator[Build]:
    """All of some ops, by the table."""
    for name in names:
        for signature in op(name).signatures:
            for dtype in signature.dtypes:
                for number in range(len(signature.constants)):
                    yield Build(name, signature, dtype, number)


def compile_build(build: Build, target: str) -> int:
    """Compile for one of `TARGETS`; returns the bytes of the binary.

    Raises:
        KernelError: this process interprets kernels, so it cannot compile them.
    """
    if interpreted():
        raise KernelError("TRITON_INTERPRET is set: a process that interprets kernels compiles none; unset it.")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(import_module(f"{__package__}.{build.op}.in_triton"), build.signature.kernel)
    constants = build.signature.constants[build.number]
    types = {name: type.replace("T", build.dtype) for name, type in build.signature.arguments.items()}
    # The order is the kernel's own, as constants may stand between arguments.
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=dict(constants))
    options = {"num_warps": build.signature.warps, "num_stages": build.signature.stages}
    compiled = triton.compile(source, target=GPUTarget(*TARGETS[target]), options=options)
    return len(compiled.asm[BINARIES[TARGETS[target][0]]])


def brief(names: tuple[str, ...] = OPS) -> Iterator[tuple[Build, str]]:
    """One build of each op, each for the next target."""
    firsts = (next(builds((name,)), None) for name in names)
    return zip(filter(None, firsts), cycle(TARGETS))


def main() -> None:
    """Compile what the command line names; the first error ends it."""
    names = tuple(name for name in sys.argv[1:] if name != "--brief") or OPS
    chosen = brief(names) if "--brief" in sys.argv else product(builds(names), TARGETS)
    for build, target in chosen:
        began = time.perf_counter()
        size = compile_build(build, target)
        told = {
            "op": build.op,
            "kernel": build.signature.kernel,
            "dtype": build.dtype,
            "constants": dict(build.signature.constants[build.number]),
            "target": target,
            "bytes": size,
            "seconds": round(time.perf_counter() - began, 3),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
