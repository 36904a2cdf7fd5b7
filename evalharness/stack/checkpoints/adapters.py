"""Adapters as the library PEFT keeps them: a folder with ``adapter_config.json`` and ``adapter_model.safetensors``.

Each layer of Hugging Face's that is adapted has ``base_model.model.<layer>.lora_A.weight`` [R, I] and
``.lora_B.weight`` [O, R], whichever way round the layer itself lies. Where one layer of theirs is several of ours
(queries, keys and values in one matrix), ours share its A, and each has its rows of B.
Letters in names: R rank, I inputs, O outputs, E experts, P ranks of all experts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.families.known import FAMILIES
from evalharness.stack.checkpoints.adapter_options import AdapterOptions
from evalharness.stack.checkpoints.adapter_sites import Site, sites
from evalharness.stack.checkpoints.save import with_family
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from evalharness.stack.layers.lora import LowRank

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
RANKS = "ranks"
"""Key of the file's metadata, which PEFT leaves alone: of layers of theirs in which not all of ours share one A, which
rows of A belong to which of ours, as JSON: ``{"transformer.h.0.attn.c_attn": {"blocks.0.attention.qkv.key": [0, 8]}}``.
"""

_NAME = re.compile(re.escape(PREFIX) + r"(.+)\.lora_([AB])\.weight")
_STACKED = re.compile(r"(.+\.experts)(\.base_layer)?")
"""What PEFT calls the adapters of tensors that hold all experts (transformers 5)."""


class AdapterFolder:
    """A folder that PEFT or `write_adapter` has written; the weights are read when they are asked for.

    Raises:
        CheckpointError: no such folder, or an adapter of a kind that is not covered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.options = AdapterOptions(path / CONFIG)
        if not (path / WEIGHTS).is_file():
            raise CheckpointError(f"{path} has no {WEIGHTS}; pickled weights (.bin) are not read.")

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def files(self) -> tuple[Path, Path]:
        """What decides what it computes."""
        return self.path / CONFIG, self.path / WEIGHTS

    def read(self, config: AnyConfig) -> dict[str, LowRank]:
        """What is added to each of our layers; layers that share an A share the tensor.

        Raises:
            CheckpointError: the file is damaged, or does not go with its configuration or with this model.
        """
        pairs, apart = self._pairs(), self._apart()
        places = sites(config)
        found: dict[str, LowRank] = {}
        read = set()
        for name, (a_RI, b_OR) in pairs.items():
            usual = _usual(config, name)
            if isinstance(config, ModelConfig) and config.experts and (stacked := _STACKED.fullmatch(usual)):
                found |= self._of_experts(config, name, stacked[1], a_RI, b_OR)
                continue
            site = places.get(usual)
            if site is None:
                raise CheckpointError(f"{self.path}: {_no_place(config, usual, name)}")
            read.add(usual)
            layers = self._of_site(site, name, a_RI, b_OR)
            found |= layers if name not in apart else _own_ranks(layers, apart[name])
        for name in places:
            if self.options.targets(name) and name not in read:
                raise CheckpointError(
                    f"{self.path}: lacks the tensors of '{name}', though {CONFIG} names it (target_modules); the "
                    "adapter is incomplete."
                )
        return found

    def _pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """A and B of each layer, by its name."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors = load_file(self.path / WEIGHTS)
        except SafetensorError as error:
            raise CheckpointError(f"{self.path / WEIGHTS} cannot be read as safetensors: {error}.") from None
        halves: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            found = _NAME.fullmatch(name)
            if name.endswith(".base_layer.weight"):
                raise CheckpointError(
                    f"{self.path}: the tensor '{name}' is the model's own; let PEFT save the adapter without it "
                    "(save_embedding_layers=False)."
                )
            if found is None or tensor.dim() != 2:
                raise CheckpointError(
                    f"{self.path}: the tensor '{name}' is no matrix A or B of a linear layer's adapter; others are not "
                    "covered."
                )
            halves.setdefault(found[1], {})[found[2]] = tensor
        for name, half in halves.items():
            if len(half) < 2:
                missing = "B" if "A" in half else "A"
                raise CheckpointError(
                    f"{self.path}: lacks the tensor '{PREFIX}{name}.lora_{missing}.weight'; the adapter is incomplete."
                )
        return {name: (half["A"], half["B"]) for name, half in halves.items()}

    def _apart(self) -> dict[str, dict[str, tuple[int, int]]]:
        """What the metadata says under `RANKS`."""
        from safetensors import safe_open

        with safe_open(self.path / WEIGHTS, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get(RANKS, "{}"))
        return {name: {part: (begin, end) for part, (begin, end) in parts.items()} for name, parts in told.items()}

    def _of_site(self, site: Site, name: str, a_RI: Tensor, b_OR: Tensor) -> dict[str, LowRank]:
        try:
            cut = site.cut(b_OR)
        except (RuntimeError, IndexError):
            raise CheckpointError(
                f"{self.path}: the adapter of '{name}' has {b_OR.shape[0]} outputs, which does not fit the model."
            ) from None
        return {part: self._low_rank(name, a_RI, rows_OR) for part, rows_OR in zip(site.parts, cut, strict=True)}

    def _of_experts(self, config: ModelConfig, name: str, layer: str, a_PI: Tensor, b_OP: Tensor) -> dict[str, LowRank]:
        """Of one tensor with the weights of all experts: P is E R in A, and R E in B."""
        experts = config.experts or 1
        wide = b_OP.shape[0] == 2 * config.ffn_width and a_PI.shape[1] == config.width
        stored = f"{layer}.{'gate_up_proj' if wide else 'down_proj'}"
        site = sites(config, [f"{layer}.gate_up_proj"]).get(stored)
        if site is None or a_PI.shape[0] % experts or b_OP.shape[1] != a_PI.shape[0]:
            raise CheckpointError(f"{self.path}: {_no_place(config, stored, name)}")
        a_ERI = a_PI.view(experts, -1, a_PI.shape[1])
        b_EOR = b_OP.view(b_OP.shape[0], -1, experts).permute(2, 0, 1)
        each = a_ERI.unbind(0)
        named = f"{name.removesuffix('.base_layer')}.{stored.rpartition('.')[2]}"
        return {
            part: self._low_rank(named, each[number % experts], rows_OR)
            for number, (part, rows_OR) in enumerate(zip(site.parts, site.cut(b_EOR), strict=True))
        }

    def _low_rank(self, name: str, a_RI: Tensor, b_OR: Tensor) -> LowRank:
        from evalharness.stack.layers.lora import LowRank

        rank = self.options.rank(name)
        if not a_RI.shape[0] == b_OR.shape[1] == rank:
            raise CheckpointError(
                f"{self.path}: the matrices of '{name}' have the ranks {a_RI.shape[0]} and {b_OR.shape[1]}, but "
                f"{CONFIG} says {rank}."
            )
        return LowRank(a_RI, b_OR.contiguous(), self.options.alpha(name), self.options.rank_stabilized)


def _own_ranks(layers: Mapping[str, LowRank], ranks: Mapping[str, tuple[int, int]]) -> dict[str, LowRank]:
    """Of layers that share an A, those that have an adapter, with their own rows of A."""
    from evalharness.stack.layers.lora import LowRank

    whole = next(iter(layers.values()))
    rows = {place: whole.a_RI[slice(*place)] for place in ranks.values()}
    return {
        part: LowRank(
            rows[place], layers[part].b_OR[:, slice(*place)], whole.alpha_at(len(rows[place])), whole.rank_stabilized
        )
        for part, place in ranks.items()
    }


def require_shape(added: LowRank, shape: Sequence[int], layer: str, path: Path) -> None:
    """See that an adapter fits a weight.

    Raises:
        CheckpointError: it is of another model.
    """
    there = (added.b_OR.shape[0], added.a_RI.shape[1])
    if there != tuple(shape):
        raise CheckpointError(
            f"{path}: what is added to '{layer}' has the shape {there}, but the model's weight has {tuple(shape)}; it "
            "is another model's adapter."
        )


def _usual(config: AnyConfig, name: str) -> str:
    """The name of a layer by which its family's rules know it."""
    family = FAMILIES.get(with_family(config).architecture)
    for pattern, usual in family.renamed if family else ():
        name = re.sub(pattern, usual, f"{name}.").removesuffix(".")
    return name


def _no_place(config: AnyConfig, usual: str, name: str) -> str:
    family = FAMILIES.get(with_family(config).architecture)
    head = (family.head if family else "head.weight").removesuffix(".weight")
    if config.tied_embeddings and usual == head:
        return f"the adapter changes '{name}', which is the model's embedding as well; tied heads are not covered."
    return f"the adapter changes '{name}', but the model has no such linear layer; it is another model's adapter."
