"""Flash attention beside torch's: on a processor `scaled_dot_product_attention` as it chooses, on a GPU each backend.

Causal, with a window and of packed documents; plain torch gets a mask for the last two.

    python benchmarks/kernels/flash_attention.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from providers import LARGE, LINE, PLAIN, both_passes, every_dtype, implementations, normal, shapes, tell
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from evalharness.stack.kernels.flash_attention import causal, packed

BACKENDS = {
    "SDPA flash": SDPBackend.FLASH_ATTENTION,
    "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
    "SDPA efficient": SDPBackend.EFFICIENT_ATTENTION,
}
BACKWARD = 3.5
"""Products of both passes together by those of the forward pass."""


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked,
        small=(1, 24, 2, 1, 16), large=(2, 4096, 32, 8, 128), line=(1, 1024, 9, 3, 64), training=(16, 256, 4, 4, 32),
    )  # fmt: skip
    if LINE in kinds:
        kinds["SmolLM2, 32 tokens"] = (1, 32, 9, 3, 64)
    for case, (batch, count, heads, groups, size) in kinds.items():
        given = [normal(asked, batch, count, each, size, gradient=True) for each in (heads, groups, groups)]
        for kind in ("causal", "window", "documents") if count >= 1024 or asked.small else ("causal",):
            compare(asked, case, kind, given)


def compare(asked: argparse.Namespace, case: str, kind: str, given: list[Tensor]) -> None:
    (batch, count, heads, size), groups = given[0].shape, given[1].shape[2]
    documents_BT = (torch.arange(count, device=asked.device) // (count // 8))[None]
    intervals = {
        "causal": lambda: causal(count, count, device=asked.device),
        "window": lambda: causal(count, count, window=count // 8, device=asked.device),
        "documents": lambda: packed(count, documents_BT=documents_BT),
    }[kind]()
    mask = None if kind == "causal" else intervals.visible()[:, None]
    scale = size**-0.5

    def plain() -> Tensor:
        return scaled_dot_product_attention(
            *(part.transpose(1, 2) for part in given),
            attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=heads != groups,
        ).transpose(1, 2)  # fmt: skip

    def ours(module) -> Tensor:  # type: ignore[no-untyped-def]
        return module.flash_attention(*given, intervals, scale=scale)[0]

    functions: dict[str, Callable[[], Tensor]] = {**implementations("flash_attention", asked, ours), PLAIN: plain}
    if case == LARGE:
        functions |= {name: under(backend, plain) for name, backend in BACKENDS.items() if able(backend, plain)}
    pairs = batch * int((intervals.end_BT - intervals.first_BT).sum()) // len(intervals.first_BT)
    operations = 4 * pairs * heads * size
    shape = {"batch": batch, "tokens": count, "heads": [heads, groups], "size": size}
    for passes, calls, times in (
        ("forward", functions, 1.0),
        ("both", {name: gradients(function, given) for name, function in functions.items()}, BACKWARD),
    ):
        name = "flash_attention" if kind == "causal" else f"flash_attention, {kind}"
        tell(name, passes, shape, calls, asked, case=case, operations=operations * times)


def gradients(function: Callable[[], Tensor], given: list[Tensor]) -> Callable[[], object]:
    return lambda: both_passes(function(), *given)


def under(backend: SDPBackend, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def computed() -> Tensor:
        with sdpa_kernel(backend):
            return function()

    return computed


def able(backend: SDPBackend, function: Callable[[], Tensor]) -> bool:
    """Whether a backend takes these numbers and this mask on this device."""
    try:
        under(backend, function)().sum().backward()
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
