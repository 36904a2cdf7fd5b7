"""Writes a safetensors file tensor by tensor, so that no two need be in memory for it.

The format (https://github.com/huggingface/safetensors#format): the header's length as eight bytes, the header in JSON
with type, shape and place of every tensor, and their numbers without gaps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""Torch's names of types of numbers, and the format's."""
ALIGNED = 8
"""The numbers begin at a multiple of so many bytes."""


def write_tensors(path: Path, described: Mapping[str, Tensor], tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write tensors as they come.

    Args:
        described: types and shapes of all, in the order in which they come; tensors without numbers do.

    Raises:
        ValueError: what comes is not what was described.
        OSError: the disk refuses.
    """
    import torch

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, tensor in described.items():
        end = place + tensor.numel() * tensor.element_size()
        kind = TYPES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % ALIGNED)
    with path.open("wb") as file:
        file.write(len(told).to_bytes(8, "little"))
        file.write(told)
        for (name, tensor), (expected, like) in zip(tensors, described.items(), strict=True):
            if (name, tensor.shape, tensor.dtype) != (expected, like.shape, like.dtype):
                raise ValueError(f"{name} came where {expected} was described")
            numbers = tensor.detach().cpu().contiguous().flatten()
            file.write(numbers.view(torch.uint8).numpy().data)
