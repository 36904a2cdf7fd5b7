"""Files of tensors written one by one are those of the library safetensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from evalharness.stack.checkpoints.tensor_file import TYPES, write_tensors


def described(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to("meta") for name, tensor in tensors.items()}


def test_every_type_and_shape_is_read_by_safetensors(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    tensors = {name: (torch.randn(3, 5, generator=random) * 50).abs().to(getattr(torch, name)) for name in TYPES}
    tensors |= {"turned": torch.randn(4, 6).T, "cut": torch.randn(9)[2:7], "none": torch.zeros(0, 3)}
    tensors |= {"number": torch.tensor(2.5), 'Überschrift "1"': torch.ones(2)}
    path = tmp_path / "file.safetensors"
    write_tensors(path, described(tensors), tensors.items())
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_a_tensor_is_asked_for_when_those_before_are_written(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    tensors = {f"t{number}": torch.full((1000, 1000), float(number)) for number in range(3)}
    sizes = []

    def coming():
        for name, tensor in tensors.items():
            yield name, tensor
            sizes.append(path.stat().st_size)

    write_tensors(path, described(tensors), coming())
    assert [size // 4_000_000 for size in sizes] == [1, 2, 3]


@pytest.mark.parametrize("come", [{"b": torch.ones(2)}, {"a": torch.ones(3)}, {"a": torch.ones(2).half()}, {}])
def test_what_was_not_described_is_refused(come: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"came where a was described|longer"):
        write_tensors(tmp_path / "file.safetensors", described({"a": torch.ones(2)}), come.items())
