"""Hugging Face folders: ``config.json``, safetensors (one file, or shards with an index), tokenizer files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from evalharness.stack.checkpoints.tensor_file import write_tensors
from evalharness.stack.config import AnyConfig
from evalharness.stack.errors import CheckpointError
from evalharness.stack.tokenization.text import TextTokenizer, read_json, write_json, write_tokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


class HuggingFaceFolder:
    """A folder as `save_pretrained` writes it.

    Raises:
        CheckpointError: the folder lacks ``config.json`` or weights, or a shard is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "config.json").is_file():
            raise CheckpointError(f"{path} has no config.json; give a Hugging Face folder or a .gguf file.")
        self.values = read_json(path / "config.json")
        self.generation_values = read_json(path / "generation_config.json")

    def shards(self) -> list[Path]:
        """The files with weights, each once."""
        index = read_json(self.path / INDEX)
        if index:
            found = sorted({self.path / name for name in index["weight_map"].values()})
        elif (self.path / SINGLE).is_file():
            found = [self.path / SINGLE]
        else:
            raise CheckpointError(f"{self.path} has no {SINGLE} and no {INDEX}; pickled weights (.bin) are not read.")
        for shard in found:
            if not shard.is_file():
                raise CheckpointError(f"{shard} is missing, but {INDEX} names it; fetch the folder again.")
        return found

    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of numbers of every tensor, from the headers alone."""
        found = {}
        for shard in self.shards():
            with _opened(shard) as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    part = file.get_slice(name)
                    found[name] = (tuple(part.get_shape()), str(part.get_dtype()))
        return found

    def parameters(self) -> int:
        """Numbers in the checkpoint."""
        return sum(prod(shape) for shape, _ in self.shapes().values())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor by Hugging Face's name, on the CPU, in the type that it is stored in."""
        for shard in self.shards():
            with _opened(shard) as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    yield name, file.get_tensor(name)


def _opened(shard: Path) -> Any:
    try:
        return safe_open(shard, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{shard} cannot be read as safetensors: {error}; fetch the file again.") from None


# --------------------------------------------------------------------------- writing


def write_files(
    folder: Path,
    config: AnyConfig,
    values: Mapping[str, Any],
    described: Mapping[str, torch.Tensor],
    tensors: Iterable[tuple[str, torch.Tensor]],
    tokenizer: TextTokenizer | None,
) -> None:
    """Write weights (by the names of the layout, as `write_tensors` takes them), ``config.json`` (`values`), generation
    defaults, and the tokenizer if there is one, into a folder that is there."""
    write_tensors(folder / SINGLE, described, tensors)
    write_json(folder / "config.json", values)
    write_json(folder / "generation_config.json", _generation(config, values))
    if tokenizer is not None:
        write_tokenizer(folder, tokenizer, max_length=config.max_length)


DECODER_BEGINS = "decoder_start_token_id"
"""The key by which both files of an encoder-decoder say what its decoder is fed first."""


def _generation(config: AnyConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    ends: list[int] | int | None = list(config.eos_ids) or None
    if len(config.eos_ids) == 1:
        ends = config.eos_ids[0]
    begins = {key: values[key] for key in (DECODER_BEGINS, "pad_token_id") if DECODER_BEGINS in values}
    return {"bos_token_id": config.bos_id, "eos_token_id": ends} | begins
