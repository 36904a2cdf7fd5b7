"""Which layers of a decoder the names mean that users know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from evalharness.stack.adaptation.lora_options import ALL_LINEAR
from evalharness.stack.architectures.composed import unknown_name
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.adapter_options import matches
from evalharness.stack.checkpoints.adapter_sites import sites
from evalharness.stack.errors import TrainingError

USUAL = {
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "o_proj": "output",
    "gate_proj": "gate",
    "up_proj": "up",
    "down_proj": "down",
}
"""Llama's names of layers, which are used of all families, to the ends of our names."""
HEADS = ("head", "lm_head", "embed_out")
EMBEDDINGS = ("embedding", "embed_tokens", "wte", "embed_in", "word_embeddings", "shared")

Group = tuple[str, ...]
"""Layers with one input that share their A, since they are one layer of the family's: mostly one."""


def layers_of(decoder: Decoder, targets: Sequence[str], *, dropout: bool = False) -> list[Group]:
    """The layers that are meant, each once, in the order of their names.

    A name is looked for among the family's own, then among `USUAL`, then among ours.

    Args:
        dropout: whether their adapters will have one.

    Raises:
        TrainingError: a target that no layer matches, or one that cannot be adapted.
    """
    linear = {name: module for name, module in decoder.named_modules() if isinstance(module, nn.Linear)}
    places = {name: site.parts for name, site in sites(decoder.config).items() if linear.keys() >= set(site.parts)}
    ours: dict[str, Group] = {name: (name,) for name in linear}
    if decoder.config.tied_embeddings:
        del ours["head"]
    found: dict[str, Group] = {}
    for target in targets:
        if target == ALL_LINEAR:
            groups = [parts for parts in places.values() if not matches(("head", "router"), parts[0])]
        else:
            groups = list(_ending(places, target)) or list(_ending(ours, USUAL.get(target, target)))
        if not groups:
            raise TrainingError(f"lora: {_refusal(decoder, target, [*places, *ours])}")
        if dropout and ("head",) in groups:
            raise TrainingError("lora: the vocabulary projection takes no dropout; leave it out, or the dropout.")
        for group in groups:
            # Of a group that another target has met in part, the rest is a group.
            if rest := tuple(path for path in group if path not in found):
                found |= dict.fromkeys(rest, rest)
    return sorted(set(found.values()))


def _ending(places: dict[str, Group], target: str) -> Iterator[Group]:
    return (parts for name, parts in places.items() if matches((target,), name))


def _refusal(decoder: Decoder, target: str, names: Sequence[str]) -> str:
    if target in HEADS and decoder.config.tied_embeddings:
        return f"the target '{target}' is the model's embedding as well (tied); adapt other layers."
    if target in EMBEDDINGS:
        return f"the target '{target}' is an embedding, not a linear layer; adapt other layers."
    ends = sorted({name.rpartition(".")[2] for name in names if not name.rpartition(".")[2].isdigit()})
    return unknown_name("linear layer", target, dict.fromkeys([ALL_LINEAR, *USUAL, *ends]))
