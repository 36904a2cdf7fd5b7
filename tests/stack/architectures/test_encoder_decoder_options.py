"""The section `model` of a training for an encoder-decoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_options import PRESETS, EncoderDecoderOptions
from evalharness.stack.architectures.families.known import config_from_hub, hub_config
from evalharness.stack.architectures.model_options import AnyModelOptions
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.errors import TrainingError

SMALL: dict[str, Any] = {"architecture": "encoder_decoder", "layers": 2, "width": 48, "heads": 3}


def read(**changes: Any) -> EncoderDecoderOptions:
    return EncoderDecoderOptions.model_validate(SMALL | changes)


def test_defaults_follow_the_sizes() -> None:
    config = read().to_config(257, 64, None, (256,))
    assert (config.vocab_size, config.encoder_layers, config.decoder_layers) == (320, 2, 2)
    assert (config.head_dim, config.ffn_width, config.feed_forward) == (16, 192, "relu")
    assert (config.start_id, config.pad_id, config.eos_ids, config.max_length) == (256, 256, (256,), 64)
    assert config.tied_embeddings
    assert config.scaled_outputs
    later = read(encoder_layers=5, feed_forward="geglu_tanh", tied_embeddings=False).to_config(257, 64, None, (256,))
    assert (later.encoder_layers, later.decoder_layers, later.ffn_width) == (5, 2, 128)
    assert not later.scaled_outputs


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("t5-small", 60_506_624),
        ("t5-base", 222_903_552),
        ("t5-v1.1-small", 76_961_152),
        ("t5-v1.1-base", 247_577_856),
    ],
)
def test_presets_have_the_published_numbers_of_parameters(preset: str, parameters: int) -> None:
    options = EncoderDecoderOptions.model_validate({"architecture": "encoder_decoder", "preset": preset})
    config = options.to_config(32_128, 512, None, (1,))
    with torch.device("meta"):
        assert sum(each.numel() for each in EncoderDecoder(config).parameters()) == parameters
    assert len(PRESETS) == 4


def test_every_part_can_be_written() -> None:
    for feed_forward in ("relu", "gelu", "gelu_tanh", "swish", "reglu", "geglu_tanh", "swiglu"):
        config = read(feed_forward=feed_forward, tied_embeddings=False).to_config(257, 64, None, (256,))
        assert config_from_hub(hub_config(config, "float32"), "here", lambda: ["lm_head.weight"]) == config


def test_the_architecture_chooses() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyModelOptions)
    assert adapter.validate_python(SMALL) == read()
    assert isinstance(adapter.validate_python({"layers": 1, "width": 8, "heads": 1}), ModelOptions)
    assert adapter.validate_python(read()) == read()
    assert adapter.validate_json(read().model_dump_json()) == read()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "encoder"}, "no architecture is called 'encoder'"),
        ({"heads": 5}, "a width of 48 cannot be shared evenly by 5 heads"),
        ({"feed_forward": "geglu"}, "no feed_forward of encoder-decoders is called 'geglu'"),
        ({"preset": "t5-smal"}, "did you mean 't5-small'"),
        ({"farthest": 9}, "the farthest distance is 9, but the decoder has a bucket for each up to 16"),
        ({"kv_heads": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TypeAdapter(AnyModelOptions).validate_python(SMALL | changes)


def test_what_does_not_go_with_a_tokenizer() -> None:
    with pytest.raises(TrainingError, match="vocab_size is 100, but the tokenizer has 257 tokens"):
        read(vocab_size=100).to_config(257, 64, None, (256,))
    with pytest.raises(TrainingError, match="needs a tokenizer with an end of a text"):
        read().to_config(257, 64, None, ())
