"""The table of ops: what dispatch knows, doctor tells, and compilation ahead of time compiles."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.stack.kernels.op import Op

OPS = (
    "adamw",
    "cross_entropy",
    "exact_linear",
    "experts",
    "flash_attention",
    "glu",
    "int4_linear",
    "int8_linear",
    "layer_norm",
    "linear_cross_entropy",
    "linear_scoring",
    "paged_decode",
    "rms_norm",
    "rope",
    "sampling",
    "selective_scan",
    "shared_prefix_attention",
    "store_kv",
)
"""Names of folders, each with an `Op` called ``OP``."""


def op(name: str) -> Op:
    """The op of a name of `OPS`."""
    found: Op = import_module(f"{__package__}.{name}").OP
    return found
