"""``config.json`` of composed models."""

import dataclasses
import json

import pytest
from stack.architectures.combinations import AXES, config_of

from evalharness.stack.architectures.composed import composed_from_json, composed_to_json
from evalharness.stack.errors import CheckpointError

EACH = [{axis: name} for axis, names in AXES.items() for name in names]


@pytest.mark.parametrize("chosen", EACH, ids=str)
def test_every_choice_survives_the_way_through_json(chosen):
    config = config_of(chosen, bos_id=1, eos_ids=(2, 3))
    values = json.loads(json.dumps(composed_to_json(config)))
    assert values["model_type"] == "evalharness"
    assert composed_from_json(values, "config.json") == config


@pytest.mark.parametrize("key", ["width", "norm_epsilon", "max_length", "kv_heads"])
def test_a_missing_key_is_named(key):
    values = composed_to_json(config_of({}))
    del values[key]
    with pytest.raises(CheckpointError, match=f"config.json: the key '{key}' is missing; it is not a complete"):
        composed_from_json(values, "config.json")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"colour": 1}, "the key 'colour' is not known; this version may be too old for it"),
        ({"architecture": "llama"}, "the key 'architecture' is not known"),
        ({"width": "wide"}, "the key 'width' has a wrong value: Input should be a valid integer"),
        ({"windows": 3}, "the key 'windows' has a wrong value"),
        ({"norm": "rmsnorm"}, "no norm is called 'rmsnorm'; did you mean 'rms_norm'[?] Known: layer_norm, rms_norm"),
        ({"kv_heads": 0}, "kv_heads is 0; give a whole number of at least 1"),
        ({"kv_heads": 3}, "4 query heads cannot share 3 key heads evenly"),
        ({"windows": [4]}, "1 windows for 2 layers; give one for each"),
        ({"windows": [4, 0]}, "a window is below 1"),
        ({"rotary_dim": 3}, "3 numbers of a head of 8 cannot be turned in pairs"),
        ({"rope_scaling": {"factor": 2.0}}, "no rope_scaling is called ''; known: linear, ntk, yarn, llama3"),
        ({"rope_scaling": {"kind": "yarn", "factor": 2.0}}, "rope_scaling: the key 'original_length' is missing"),
        ({"rope_scaling": {"kind": "ntk", "factor": 2.0, "x": 1}}, "rope_scaling: the key 'x' is not known"),
        ({"rope_theta": 1.0}, "rope_theta is 1; give a number above 1"),
        ({"rope_scaling": {"kind": "ntk", "factor": 0.0}}, "rope_scaling has a factor of 0"),
        (
            {"rope_scaling": {"kind": "yarn", "factor": 2.0, "original_length": 8, "slow_turns": 40.0}},
            "slow_turns of 40, which must be below its fast_turns, 32",
        ),
        (
            {"rope_scaling": {"kind": "llama3", "factor": 2.0, "high_frequency_factor": 1.0}},
            "low_frequency_factor of 1, which must be below its high one, 1",
        ),
        ({"positions": "xpos", "max_length": 40_000}, "the positions 'xpos' reach to 32,768 tokens"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(change, sentence):
    with pytest.raises(CheckpointError, match=sentence) as told:
        composed_from_json(composed_to_json(config_of({})) | change, "config.json")
    assert str(told.value).startswith("config.json")
    assert "\n" not in str(told.value)


def test_the_name_of_a_family_is_not_kept():
    config = dataclasses.replace(config_of({}), architecture="llama")
    assert composed_from_json(composed_to_json(config), "config.json").architecture == "composed"
