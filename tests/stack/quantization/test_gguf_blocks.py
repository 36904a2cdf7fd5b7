"""Every block format against `gguf.quants`, the reference of the format's authors."""

import gguf
import numpy as np
import pytest
import torch

from evalharness.stack.checkpoints.gguf import BLOCKS
from evalharness.stack.quantization.gguf_blocks import DEQUANTIZERS, dequantize

SCALES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}
"""Where each format keeps its fp16 numbers: random bytes there would be NaN now and then."""


def random_blocks(kind: str, count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    (size,) = (block.size for block in BLOCKS.values() if block.name == kind)
    if kind not in SCALES:
        dtype = {"F32": np.float32, "F16": np.float16, "BF16": np.float32}[kind]
        return random.normal(size=count).astype(dtype).view(np.uint8).reshape(-1, size)
    blocks = random.integers(0, 256, size=(count, size), dtype=np.uint8)
    for at in SCALES[kind]:
        blocks[:, at : at + 2] = random.normal(size=(count, 1)).astype(np.float16).view(np.uint8)
    return blocks


@pytest.mark.parametrize("kind", DEQUANTIZERS)
def test_equals_the_reference(kind: str) -> None:
    packed = random_blocks(kind, 97, seed=5)
    expected = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[kind]).reshape(-1)
    found = dequantize(torch.from_numpy(packed.copy()).flatten(), kind, packed.shape[1])
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), expected)


def test_sizes_of_the_table_are_those_of_the_reference() -> None:
    for number, block in BLOCKS.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (block.name, (block.numbers, block.size))
