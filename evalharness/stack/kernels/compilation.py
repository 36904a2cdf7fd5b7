"""``python -m evalharness.stack.kernels.compilation``: compiles the table's Triton kernels for GPUs that are not here.

Without arguments every op, else those named, and with ``--brief`` one build of each for each target; prints a line of
JSON a build: besides its size what it needs of a GPU, which tells much of its speed without one. Needs no GPU: Triton
brings the assemblers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.op import TARGETS, Signature
from evalharness.stack.kernels.table import OPS, op
from evalharness.stack.kernels.told import interpreted


class Target(NamedTuple):
    """A GPU, as Triton calls it."""

    backend: str
    architecture: int | str
    warp: int
    """Threads."""
    shared: int
    """Bytes of shared memory that a program may have."""


GPUS = {
    # An A100 has 163 KiB, but GPUs of 8.6, 8.9 and 12.0 take these tiles too.
    "sm_80": Target("cuda", 80, 32, 99 * 1024),
    "sm_90": Target("cuda", 90, 32, 227 * 1024),
    "gfx942": Target("hip", "gfx942", 64, 64 * 1024),
}
BINARIES = {"cuda": "cubin", "hip": "hsaco"}
ALIGNMENT = 16
"""What addresses (in bytes) and strides are multiples of in nearly all models: launches look for it."""


@dataclass(frozen=True, slots=True)
class Build:
    """One kernel for one kind of numbers and one choice of constants."""

    op: str
    signature: Signature
    dtype: str
    number: int
    """Of the mapping among the signature's `constants`."""
    aligned: bool = True
    """Compiled as for addresses and whole numbers that are multiples of `ALIGNMENT`, where launches look for that."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a build needs of a GPU."""

    bytes: int
    """Of the binary."""
    registers: int
    """Of a thread."""
    spilled: int
    """Bytes of a thread that lie in memory for want of registers."""
    shared: int
    """Bytes of shared memory of a program."""


def builds(names: tuple[str, ...] = OPS, *, aligned: bool = True) -> Iterator[Build]:
    """All of some ops, by the table."""
    for name in names:
        for signature in op(name).signatures:
            for dtype in signature.dtypes:
                for number in range(len(signature.constants)):
                    yield Build(name, signature, dtype, number, aligned)


def compile_build(build: Build, target: str) -> Compiled:
    """Compile for one of `GPUS`.

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
    multiples = [
        place
        for place, parameter in enumerate(kernel.params)
        if build.aligned
        and signature[parameter.name].startswith(("*", "i"))
        and not (parameter.do_not_specialize or parameter.do_not_specialize_on_alignment)
    ]
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs=dict(constants),
        attrs={(place,): [["tt.divisibility", ALIGNMENT]] for place in multiples},
    )
    gpu = GPUS[target]
    options = {"num_warps": build.signature.warps, "num_stages": build.signature.stages}
    compiled = triton.compile(source, target=GPUTarget(*gpu[:3]), options=options)
    binary = compiled.asm[BINARIES[gpu.backend]]
    registers, spilled = _of_nvidia(binary) if gpu.backend == "cuda" else _of_amd(compiled.asm["amdgcn"])
    return Compiled(len(binary), registers, spilled, compiled.metadata.shared)


def _of_nvidia(cubin: bytes) -> tuple[int, int]:
    """Registers, and bytes of the stack: kernels of Triton have nothing there but what was spilled."""
    from triton import knobs

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _number(r"\bREG:(\d+)", told), _number(r"\bSTACK:(\d+)", told)


def _of_amd(assembly: str) -> tuple[int, int]:
    return _number(r"\.vgpr_count:\s+(\d+)", assembly), 4 * _number(r"\.vgpr_spill_count:\s+(\d+)", assembly)


def _number(pattern: str, told: str) -> int:
    found = re.search(pattern, told)
    if found is None:
        raise KernelError(f"an assembler's report has no {pattern!r}: {told[:200]!r}.")
    return int(found[1])


def brief(names: tuple[str, ...] = OPS) -> Iterator[tuple[Build, str]]:
    """One build of each op for each target."""
    for name in names:
        for target in TARGETS:
            yield next((build, target) for build in builds((name,)) if target in build.signature.targets)


def whole(names: tuple[str, ...] = OPS) -> Iterator[tuple[Build, str]]:
    """All builds for the targets that they are launched on, and once more as for what is not aligned."""
    for aligned in (True, False):
        for build in builds(names, aligned=aligned):
            for target in build.signature.targets:
                yield build, target


def main() -> None:
    """Compile what the command line names; the first error ends it."""
    names = tuple(name for name in sys.argv[1:] if name != "--brief") or OPS
    for build, target in brief(names) if "--brief" in sys.argv else whole(names):
        began = time.perf_counter()
        compiled = compile_build(build, target)
        told: dict[str, Any] = {
            "op": build.op,
            "kernel": build.signature.kernel,
            "dtype": build.dtype,
            "constants": dict(build.signature.constants[build.number]),
            "warps": build.signature.warps,
            "stages": build.signature.stages,
            "aligned": build.aligned,
            "target": target,
            "bytes": compiled.bytes,
            "registers": compiled.registers,
            "spilled": compiled.spilled,
            "shared": compiled.shared,
            "seconds": round(time.perf_counter() - began, 3),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
