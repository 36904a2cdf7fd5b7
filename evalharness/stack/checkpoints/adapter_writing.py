"""Writes an adapter as the library PEFT does, so that it and ``--adapter`` read it; `checkpoints.adapters` says how it
lies.

Letters in names: R rank, I inputs, O outputs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evalharness.stack.checkpoints.adapter_options import matches
from evalharness.stack.checkpoints.adapter_sites import Site, sites
from evalharness.stack.checkpoints.adapters import CONFIG, PREFIX, RANKS, WEIGHTS
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.tokenization.text import write_json

if TYPE_CHECKING:
    from evalharness.stack.layers.lora import LowRank


def write_adapter(
    folder: Path,
    config: AnyConfig,
    added: Mapping[str, LowRank],
    outputs: Mapping[str, int],
    *,
    base: str,
    dropout: float = 0.0,
) -> None:
    """Write what is added to our layers into a folder that is there, under the names of the model's family.

    Args:
        outputs: numbers that come out of each of our linear layers.
        base: where the model is that it belongs to: a folder, or a name on the hub.
        dropout: what it was trained with.
    """
    from safetensors.torch import save_file

    places = sites(config)
    joined = {
        name: _joined(site, added, outputs) for name, site in places.items() if not added.keys().isdisjoint(site.parts)
    }
    stored = {name: each.added for name, each in joined.items()}
    apart = {name: each.ranks for name, each in joined.items() if len(set(map(each.ranks.get, places[name].parts))) > 1}
    tensors = {}
    for name, each in stored.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = each.a_RI.detach().contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = each.b_OR.detach().contiguous()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"} | ({RANKS: json.dumps(apart)} if apart else {}))
    ranks = {name: each.rank for name, each in stored.items()}
    # PEFT 0.21 joins w1 and w3 of experts to one of twice the rank and alpha, which would change alpha / sqrt(R).
    experts = isinstance(config, ModelConfig) and config.experts
    stabilized = next(iter(stored.values())).rank_stabilized and not experts
    alphas = {
        name: _number(each.scale * (sqrt(each.rank) if stabilized else each.rank)) for name, each in stored.items()
    }
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    write_json(
        folder / CONFIG,
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": alpha,
            "use_rslora": stabilized,
            "lora_dropout": dropout,
            "target_modules": _short(stored.keys(), places),
            "rank_pattern": _unlike(ranks, rank, places),
            "alpha_pattern": _unlike(alphas, alpha, places),
            "fan_in_fan_out": all(places[name].rule.transposed for name in stored),
            "bias": "none",
            "modules_to_save": None,
            "init_lora_weights": True,
            "use_dora": False,
            "inference_mode": True,
        },
    )


class _Joined(NamedTuple):
    """What is added to a layer of theirs."""

    added: LowRank
    ranks: dict[str, tuple[int, int]]
    """Where those of each of our layers begin and end that has an adapter."""


def _joined(site: Site, added: Mapping[str, LowRank], outputs: Mapping[str, int]) -> _Joined:
    """Ranks of parts with an A of their own stand one after another, and B is 0 where an A is not the part's."""
    import torch

    from evalharness.stack.layers.lora import LowRank

    own: dict[int, LowRank] = {}
    places: dict[int, tuple[int, int]] = {}
    rank = 0
    for part in site.parts:
        if (each := added.get(part)) is not None and id(each.a_RI) not in own:
            own[id(each.a_RI)], places[id(each.a_RI)] = each, (rank, rank + each.rank)
            rank += each.rank
    first = next(iter(own.values()))
    ranks = {part: places[id(added[part].a_RI)] for part in site.parts if part in added}
    parts = []
    for part in site.parts:
        b_OR = first.b_OR.new_zeros(outputs[part], rank)
        if part in ranks:
            b_OR[:, slice(*ranks[part])] = added[part].b_OR.detach() * (added[part].scale / first.scale)
        parts.append(b_OR)
    a_RI = torch.cat([each.a_RI.detach() for each in own.values()])
    return _Joined(LowRank(a_RI, site.joined(parts), first.alpha_at(rank), first.rank_stabilized), ranks)


def _short(names: Iterable[str], places: Collection[str]) -> list[str]:
    """Names by which PEFT finds these layers and no others: the last part of a name where all that end so are meant."""
    wanted = set(names)
    found = set()
    for name in wanted:
        last = name.rpartition(".")[2]
        found.add(last if all(each in wanted for each in places if matches([last], each)) else name)
    return sorted(found)


def _unlike(values: Mapping[str, Any], usual: Any, places: Collection[str]) -> dict[str, Any]:
    """The values that are not the usual one, by names of layers."""
    found: dict[str, Any] = {}
    for value in sorted(set(values.values()) - {usual}):
        found |= dict.fromkeys(_short([name for name, each in values.items() if each == value], places), value)
    return found


def _number(value: float) -> float:
    """Without what a division and a product leave behind; whole numbers as such."""
    rounded = round(value, 9)
    return int(rounded) if rounded == int(rounded) else rounded
