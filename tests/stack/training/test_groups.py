"""Each parameter goes to the first rule that matches it; a rule without one, or one without a rule, is an error."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.groups import DEFAULT_RULES, OptimizerRule, group_parameters, kind_of


def decoder(*, tied: bool = True) -> Decoder:
    config = ModelConfig(
        vocab_size=11,
        width=8,
        layers=2,
        heads=2,
        kv_heads=1,
        head_dim=4,
        ffn_width=12,
        norm="layer_norm",
        norm_epsilon=1e-5,
        positions="learned",
        feed_forward="gelu",
        qkv_bias=True,
        tied_embeddings=tied,
        max_length=16,
    )
    with torch.device("meta"):
        return Decoder(config)


NAMED = dict(decoder(tied=False).named_parameters())


def names(groups: list[list[tuple[str, Tensor]]]) -> list[list[str]]:
    return [[name for name, _ in group] for group in groups]


def test_kinds_of_a_decoders_parameters() -> None:
    kinds = {name: kind_of(name, parameter) for name, parameter in decoder(tied=False).named_parameters()}
    assert {name for name, kind in kinds.items() if kind == "embedding"} == {
        "embedding.weight", "positions.weight", "head.weight"
    }  # fmt: skip
    assert all((kind == "vector") == ("norm" in name or name.endswith("bias")) for name, kind in kinds.items())
    assert kinds["blocks.1.feed_forward.down.weight"] == "matrix"


def test_by_default_only_matrices_decay() -> None:
    model = decoder()
    decays, stays = names(group_parameters(model.named_parameters(), DEFAULT_RULES))
    assert [rule.options()["weight_decay"] for rule in DEFAULT_RULES] == [0.1, 0.0]
    assert len(decays) == 2 * 6
    assert all(name.startswith("blocks.") and name.endswith(".weight") for name in decays)
    assert sorted(decays + stays) == sorted(name for name, _ in model.named_parameters())


def test_the_first_rule_that_matches_takes_it() -> None:
    rules = [
        OptimizerRule(match="blocks.1.*", kind="matrix", rate=1),
        OptimizerRule(match="blocks.*", rate=2),
        OptimizerRule(kind="vector", rate=3),
        OptimizerRule(rate=4),
    ]
    late, blocks, vectors, rest = names(group_parameters(decoder().named_parameters(), rules))
    assert len(late) == 6
    assert "blocks.1.attention_norm.weight" in blocks
    assert "blocks.0.feed_forward.up.weight" in blocks
    assert vectors == ["norm.weight", "norm.bias"]
    assert rest == ["embedding.weight", "positions.weight"]


def test_tied_weights_come_once_and_frozen_ones_not() -> None:
    model = decoder()
    model.positions.requires_grad_(False)
    every = list(model.named_parameters(remove_duplicate=False))
    assert [name for name, _ in every if name == "head.weight"]
    (group,) = names(group_parameters(every, [OptimizerRule(rate=1)]))
    assert "embedding.weight" in group
    assert "head.weight" not in group
    assert "positions.weight" not in group


@given(st.lists(st.tuples(st.sampled_from(["*", "blocks.*", "*.weight", "head*"]),
                          st.sampled_from(["any", "matrix", "vector", "embedding"])), max_size=5))  # fmt: skip
def test_rules_split_the_parameters(made: list[tuple[str, str]]) -> None:
    """Either there is a sentence, or each parameter is in one group, whose rule matches it and no earlier one does."""
    rules = [OptimizerRule(match=match, kind=kind, rate=1) for match, kind in made]
    named = NAMED
    try:
        groups = group_parameters(named.items(), rules)
    except TrainingError:
        matched = [[rule.takes(*item) for rule in rules] for item in named.items()]
        first = {row.index(True) for row in matched if True in row}
        assert not all(True in row for row in matched) or first != set(range(len(rules)))
        return
    assert sorted(name for group in names(groups) for name in group) == sorted(named)
    for place, group in enumerate(groups):
        assert group
        for name, parameter in group:
            assert [rule.takes(name, parameter) for rule in rules[: place + 1]] == [False] * place + [True]


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([OptimizerRule(kind="matrix", rate=1)], r"no rule matches the parameter 'embedding\.weight' \(embedding\)"),
        ([], "no rule matches the parameter"),
        (
            [OptimizerRule(rate=1), OptimizerRule(match="head.*", kind="any", rate=1)],
            r"rule 2 \(adamw, match 'head\.\*', kind any\) matches no parameter that the rules before it leave",
        ),
        (
            [OptimizerRule(name="muon", rate=1)],
            r"rule 1 \(muon, match '\*', kind any\) would take 'embedding\.weight', but muon is for matrices",
        ),
        (
            [OptimizerRule(match="blocks.*", name="muon", rate=1), OptimizerRule(rate=1)],
            r"would take 'blocks\.0\.attention_norm\.weight'",
        ),
    ],
)
def test_rules_that_do_not_fit(rules: list[OptimizerRule], sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        group_parameters(decoder().named_parameters(), rules)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"name": "adafactor", "betas": [0.9, 0.99]},
            "adafactor takes no betas; it takes: rate, weight_decay, decay_po",
        ),
        ({"name": "adamw", "momentum": 0.9}, "adamw takes no momentum; it takes: rate, weight_decay, betas, epsilon."),
        ({"name": "muon", "update_clip": 1.0}, "muon takes no update_clip"),
        ({"name": "adafactor", "nesterov": False}, "adafactor takes no nesterov"),
        ({"betas": [0.9, 1.0]}, "betas are from 0 to below 1, not 0.9 and 1.0"),
        ({"name": "sgd"}, "'adamw', 'adam', 'adafactor' or 'muon'"),
        ({"rate": 0}, "greater than 0"),
        ({"lr": 1}, "lr"),
    ],
)
def test_options_that_an_optimizer_does_not_take(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        OptimizerRule.model_validate({"rate": 0.1, **values})
