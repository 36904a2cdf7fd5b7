"""One door to every checkpoint: what it is, its tokenizer, and its weights, each read only when asked for."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from evalharness.stack.architectures.composed import COMPOSED, MODEL_TYPE, composed_from_json
from evalharness.stack.architectures.families.known import FAMILIES, config_from_hub, new_model, runs_in_loop
from evalharness.stack.architectures.families.values import as_ids
from evalharness.stack.checkpoints.gguf import Block, GGUFFile
from evalharness.stack.checkpoints.gguf_models import config_from_gguf, tensor_names
from evalharness.stack.checkpoints.gguf_tokenizer import from_gguf
from evalharness.stack.checkpoints.huggingface import DECODER_BEGINS, HuggingFaceFolder
from evalharness.stack.checkpoints.layouts import Layout
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.errors import CheckpointError
from evalharness.stack.tokenization.text import TextTokenizer, from_folder

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.plain.model import PlainModel


@dataclass(frozen=True, slots=True)
class Rows:
    """A tensor that is unpacked one block of rows after another, when it is asked for."""

    shape: tuple[int, ...]
    blocks: Iterator[Tensor]


class Checkpoint(Protocol):
    """A model on disk."""

    @property
    def path(self) -> Path: ...

    @property
    def config(self) -> AnyConfig: ...

    @property
    def name(self) -> str:
        """For people: the file's or folder's name without its quantisation."""
        ...

    @property
    def quantisation(self) -> str:
        """Type of numbers that most weights are stored in: ``Q4_1``, ``BF16``."""
        ...

    @property
    def parameters(self) -> int: ...

    def tokenizer(self) -> TextTokenizer:
        """Built without touching the weights."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor by our name, on the CPU, unpacked but not yet cast."""
        ...

    def by_rows(self, numbers: int) -> Iterator[tuple[str, Rows]]:
        """As `tensors`, each in blocks of rows of about so many numbers, where it can be unpacked in parts."""
        ...

    def stored_name(self, ours: str) -> str:
        """What the file calls the tensor of our name."""
        ...

    def fingerprint(self) -> str:
        """sha256 over all the bytes that decide what the model computes (about 1 s for 1 GB)."""
        ...


def open_checkpoint(path: Path) -> Checkpoint:
    """A ``.gguf`` file or a Hugging Face folder; reads headers and configuration only.

    Raises:
        CheckpointError: neither of the two, damaged, or of an architecture that is not known.
    """
    if path.is_dir():
        return FolderCheckpoint(path)
    if path.is_file():
        return GGUFCheckpoint(path)
    raise CheckpointError(f"{path} does not exist; give a .gguf file or a Hugging Face folder.")


def load_tokenizer(path: Path) -> TextTokenizer:
    """The tokenizer of a ``.gguf`` file or of a folder with ``tokenizer.json``; weights are not touched.

    Raises:
        CheckpointError: no tokenizer there, or one of a kind that is not known.
    """
    if path.is_dir():
        return from_folder(path)
    if path.is_file():
        return from_gguf(GGUFFile(path))
    raise CheckpointError(f"{path} does not exist; give a .gguf file or a folder with tokenizer.json.")


def load_model(
    path: Path, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> tuple[Decoder, ModelConfig]:
    """The decoder of a ``.gguf`` file or a Hugging Face folder, ready to compute; `dtype` defaults to fp32.

    Raises:
        CheckpointError: as `open_checkpoint` and `build`.
    """
    import torch

    model = build(open_checkpoint(path), dtype or torch.float32, device)
    return model, model.config


def build(checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device | str) -> Decoder:
    """The decoder around a checkpoint's weights.

    Raises:
        CheckpointError: the model is no decoder; tensors are missing, too many or of the wrong shape.
    """
    if runs_in_loop(checkpoint.config):
        title = FAMILIES[checkpoint.config.architecture].title
        raise CheckpointError(f"{checkpoint.path}: a {title} model is no decoder of parts, which is what is asked for.")
    return cast("Decoder", _filled(checkpoint, dtype, device))


def build_plain(checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device | str) -> PlainModel[Any]:
    """The model around a checkpoint's weights, of a family that runs in the plain loop (`runs_in_loop`).

    Raises:
        CheckpointError: tensors are missing, too many or of the wrong shape.
    """
    return cast("PlainModel[Any]", _filled(checkpoint, dtype, device))


def _filled(checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device | str) -> nn.Module:
    """A model made without numbers, which are then put in."""
    model = empty_model(checkpoint)
    tensors = {name: tensor.to(device=device, dtype=dtype) for name, tensor in checkpoint.tensors()}
    if checkpoint.config.tied_embeddings and "embedding.weight" in tensors:
        tensors["head.weight"] = tensors["embedding.weight"]
    require_shapes(checkpoint, model, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    model.load_state_dict(tensors, assign=True)
    if checkpoint.config.tied_embeddings:
        model.head.weight = model.embedding.weight  # type: ignore[union-attr]
    return model.eval().requires_grad_(False)


def empty_model(checkpoint: Checkpoint) -> nn.Module:
    """The model of a checkpoint's configuration, without numbers."""
    import torch

    with torch.device("meta"):
        return new_model(checkpoint.config)


def require_shapes(checkpoint: Checkpoint, model: nn.Module, found: Mapping[str, tuple[int, ...]]) -> None:
    """See that a checkpoint has the tensors of an empty model, and no others.

    Raises:
        CheckpointError: it has not.
    """
    wanted = model.state_dict()
    if surplus := sorted(found.keys() - wanted.keys()):
        raise CheckpointError(
            f"{checkpoint.path}: the weights '{checkpoint.stored_name(surplus[0])}' belong to no part that the "
            "configuration names; it is another model's."
        )
    for name, expected in wanted.items():
        if name not in found:
            stored = checkpoint.stored_name(name)
            raise CheckpointError(f"{checkpoint.path} lacks the weights '{stored}'; it is not a complete checkpoint.")
        if found[name] != tuple(expected.shape):
            raise CheckpointError(
                f"{checkpoint.path}: the weights '{checkpoint.stored_name(name)}' have the shape {found[name]}, "
                f"but the configuration asks for {tuple(expected.shape)}."
            )


def in_blocks(tensors: Iterator[tuple[str, Tensor]], numbers: int) -> Iterator[tuple[str, Rows]]:
    """Tensors that are unpacked already as `Checkpoint.by_rows` gives them."""
    import torch

    for name, tensor in tensors:
        shape = tuple(tensor.shape)
        yield name, Rows(shape, iter(torch.split(tensor, _rows_at_once(shape, numbers))))


def _rows_at_once(shape: tuple[int, ...], numbers: int) -> int:
    return max(1, numbers // max(1, prod(shape[1:])))


class GGUFCheckpoint:
    """A ``.gguf`` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = GGUFFile(path)
        self.config = config_from_gguf(self.file)

    @property
    def name(self) -> str:
        return re.sub(rf"[.\-_]{re.escape(self.quantisation)}(_[SML])?$", "", self.path.stem, flags=re.IGNORECASE)

    @property
    def quantisation(self) -> str:
        numbers: Counter[str] = Counter()
        for entry in self.file.tensors.values():
            numbers[entry.block.name] += prod(entry.shape)
        return numbers.most_common(1)[0][0]

    @property
    def parameters(self) -> int:
        return sum(prod(entry.shape) for entry in self.file.tensors.values())

    def tokenizer(self) -> TextTokenizer:
        return from_gguf(self.file)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for ours, name in tensor_names(self.config):
            (tensor,) = self._blocks(ours, name)
            yield ours, tensor

    def by_rows(self, numbers: int) -> Iterator[tuple[str, Rows]]:
        for ours, name in tensor_names(self.config):
            yield ours, Rows(self.file.entry(name).shape, self._blocks(ours, name, numbers))
            self.file.release()

    def stored_name(self, ours: str) -> str:
        return dict(tensor_names(self.config))[ours]

    def fingerprint(self) -> str:
        return _hash_files([self.path])

    def _blocks(self, ours: str, name: str, numbers: int | None = None) -> Iterator[Tensor]:
        """Blocks of rows of about so many numbers; all of it in one where its rows lie in another order."""
        entry, raw = self.file.entry(name), self.file.raw(name)
        rotated = {"attention.qkv.query": self.config.heads, "attention.qkv.key": self.config.kv_heads}
        heads = rotated.get(ours.split(".", 2)[-1].rpartition(".")[0])
        if heads is not None and self.file.metadata["general.architecture"] == "llama":
            yield _unpermute(_unpacked(raw, entry.block, entry.shape), heads)
        elif numbers is None or len(entry.shape) < 2:
            yield _unpacked(raw, entry.block, entry.shape)
        else:
            rows, size = _rows_at_once(entry.shape, numbers), len(raw) // entry.shape[0]
            for begin in range(0, len(raw), rows * size):
                yield _unpacked(raw[begin : begin + rows * size], entry.block, (-1, *entry.shape[1:]))


def _unpacked(raw: npt.NDArray[np.uint8], block: Block, shape: tuple[int, ...]) -> Tensor:
    import torch

    from evalharness.stack.quantization.gguf_blocks import dequantize

    # The mapped file is read-only and torch wants to be able to write: one copy of the packed bytes.
    packed = torch.from_numpy(np.array(raw))
    return dequantize(packed, block.name, block.size).view(shape)


def _unpermute(tensor: Tensor, heads: int) -> Tensor:
    """From neighbouring pairs, as GGUF rotates Llama's queries and keys, to the pairs (i, i + D/2) of `rotate`."""
    pairs = tensor.view(heads, -1, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape)


class FolderCheckpoint:
    """A Hugging Face folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = HuggingFaceFolder(path)
        values, generation = dict(self.folder.values), self.folder.generation_values
        composed = values.get("model_type") == MODEL_TYPE
        # How generation begins and ends is told by generation_config.json where it differs from config.json.
        if ends := as_ids(generation.get("eos_token_id")):
            values["eos_ids" if composed else "eos_token_id"] = list(ends)
        if generation.get(DECODER_BEGINS) is not None and not composed:
            values[DECODER_BEGINS] = generation[DECODER_BEGINS]
        where = str(path / "config.json")
        self.config: AnyConfig
        if composed:
            self.config = composed_from_json(values, where)
        else:
            self.config = config_from_hub(values, where, lambda: self.folder.shapes().keys())

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def quantisation(self) -> str:
        numbers: Counter[str] = Counter()
        for shape, kind in self.folder.shapes().values():
            numbers[kind] += prod(shape)
        return numbers.most_common(1)[0][0]

    @property
    def parameters(self) -> int:
        return self.folder.parameters()

    def tokenizer(self) -> TextTokenizer:
        return from_folder(self.path)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        tensors = self.folder.tensors()
        return tensors if self._layout is None else self._layout.ours(tensors)

    def by_rows(self, numbers: int) -> Iterator[tuple[str, Rows]]:
        return in_blocks(self.tensors(), numbers)

    def stored_name(self, ours: str) -> str:
        return ours if self._layout is None else self._layout.stored_name(ours)

    @cached_property
    def _layout(self) -> Layout | None:
        """Made when weights are asked for, as it reads the headers; composed folders have our names."""
        if self.config.architecture == COMPOSED:
            return None
        return Layout(self.config, self.folder.shapes().keys(), self.path)

    def fingerprint(self) -> str:
        return _hash_files([self.path / "config.json", *self.folder.shards()])


def _hash_files(paths: list[Path]) -> str:
    """sha256 of one file, or of the hashes of several in their order."""
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
