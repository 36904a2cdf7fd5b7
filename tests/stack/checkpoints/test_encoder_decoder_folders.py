"""T5's folders: there and back, sharded, as several versions of transformers write them, and damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from stack.architectures.t5_cases import CASES, drawn, loaded, made
from torch import Tensor

from evalharness.stack.architectures.families.known import config_from_hub, hub_config
from evalharness.stack.checkpoints.convert import convert
from evalharness.stack.checkpoints.load import load_model, open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.errors import CheckpointError

PROMPT, SAID = drawn(30)[None], drawn(12, 1)[None]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By case, as transformers writes them."""
    root = tmp_path_factory.mktemp("t5")
    for case in CASES:
        made(case).save_pretrained(root / case)
    return {case: root / case for case in CASES}


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a case's to damage."""
    return lambda case: Path(shutil.copytree(folders[case], tmp_path / "model"))


@torch.inference_mode()
def their_logits(folder: Path) -> Tensor:
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    assert isinstance(model, transformers.T5ForConditionalGeneration)
    return model(input_ids=PROMPT, decoder_input_ids=SAID).logits


@torch.inference_mode()
def our_logits(folder: Path) -> Tensor:
    model = loaded(folder)
    return model.logits(model(PROMPT, None, SAID))


def change(folder: Path, **values: Any) -> None:
    """Of config.json; None takes a key out."""
    told = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps({key: value for key, value in told.items() if value is not None}))


def rewrite(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("case", CASES)
def test_a_saved_folder_is_read_by_transformers(folders: dict[str, Path], case: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(folders[case])
    assert config_from_hub(hub_config(checkpoint.config, "float32"), "config.json") == checkpoint.config
    model = loaded(folders[case])
    save_model(tmp_path, checkpoint.config, model.state_dict(), None)
    torch.testing.assert_close(their_logits(tmp_path), their_logits(folders[case]), atol=1e-4, rtol=0)
    again = open_checkpoint(tmp_path)
    assert again.config == checkpoint.config
    assert again.parameters == checkpoint.parameters
    read = loaded(tmp_path).state_dict()
    assert all(torch.equal(tensor, read[name]) for name, tensor in model.state_dict().items())
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert generation["decoder_start_token_id"] == CASES[case]["decoder_start_token_id"]


def test_shards_are_read_and_a_missing_one_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    model = transformers.T5ForConditionalGeneration.from_pretrained(folders["v1.1"])
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert torch.equal(our_logits(tmp_path), our_logits(folders["v1.1"]))
    shards[1].unlink()
    with pytest.raises(CheckpointError, match=rf"{shards[1].name} is missing, but .* names it; fetch the folder again"):
        loaded(tmp_path)


def test_a_head_of_its_own_is_told_as_transformers_4_and_5_do(folder: Callable[[str], Path]) -> None:
    """4 said it by tie_word_embeddings; 5 always writes true there, and says the other half by a key of its own."""
    model = folder("v1.1")
    told = json.loads((model / "config.json").read_text())
    assert (told["tie_word_embeddings"], told["scale_decoder_outputs"]) == (True, False)
    expected = our_logits(model)
    change(model, tie_word_embeddings=False, scale_decoder_outputs=None)
    assert torch.equal(our_logits(model), expected)
    rewrite(model, lambda tensors: tensors.pop("lm_head.weight"))
    with pytest.raises(CheckpointError, match=r"lacks the weights 'lm_head\.weight'; it is not a complete checkpoint"):
        loaded(model)
    change(model, tie_word_embeddings=True, scale_decoder_outputs=False)
    torch.testing.assert_close(our_logits(model), their_logits(model), atol=1e-4, rtol=0)


def test_what_older_folders_hold_twice_is_read_once(folder: Callable[[str], Path], folders: dict[str, Path]) -> None:
    model = folder("v1.0")

    def again(tensors: dict[str, Tensor]) -> None:
        for name in ("lm_head", "encoder.embed_tokens", "decoder.embed_tokens"):
            tensors[f"{name}.weight"] = tensors["shared.weight"].clone()
        nobody = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
        tensors[nobody] = torch.zeros(32, 4)

    rewrite(model, again)
    assert torch.equal(our_logits(model), our_logits(folders["v1.0"]))
    assert loaded(model).head.weight is not None

    rewrite(model, lambda tensors: tensors["encoder.embed_tokens.weight"].mul_(2))
    with pytest.raises(CheckpointError, match=r"'encoder\.embed_tokens\.weight' and 'shared\.weight' differ"):
        loaded(model)


def test_a_checkpoint_is_converted(folder: Callable[[str], Path], tmp_path: Path) -> None:
    from tokenizers_for_tests import trained

    model = folder("odd")
    trained().save(str(model / "tokenizer.json"))
    convert(model, tmp_path / "new", torch.bfloat16)
    assert open_checkpoint(tmp_path / "new").quantisation == "BF16"
    torch.testing.assert_close(our_logits(tmp_path / "new"), our_logits(model), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            lambda tensors: tensors.pop("encoder.final_layer_norm.weight"),
            r"lacks the weights 'encoder\.final_layer_norm\.weight'; it is not a complete checkpoint\.$",
        ),
        (
            lambda tensors: tensors.update({"encoder.block.2.layer.0.layer_norm.weight": torch.ones(32)}),
            r"the weights 'encoder\.block\.2\.layer\.0\.layer_norm\.weight' belong to no part that the configuration",
        ),
        (
            lambda tensors: tensors.update({"decoder.block.1.layer.1.EncDecAttention.k.weight": torch.ones(32, 33)}),
            r"'decoder\.block\.1\.layer\.1\.EncDecAttention\.k\.weight' have the shape \(32, 33\), but .* asks for "
            r"\(32, 32\)",
        ),
        (
            lambda tensors: tensors.update({"lm_head.weight": tensors["shared.weight"] + 1}),
            r"config\.json ties 'lm_head\.weight' to the embedding \(tie_word_embeddings\), but the two differ",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(
    folder: Callable[[str], Path], edit: Callable[[dict[str, Tensor]], object], sentence: str
) -> None:
    model = folder("v1.0")
    rewrite(model, edit)
    with pytest.raises(CheckpointError, match=sentence):
        loaded(model)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"d_kv": None}, "the key 'd_kv' is missing; it is not a complete configuration"),
        ({"num_layers": 0}, "the key 'num_layers' must be a whole number of at least 1, not 0"),
        ({"feed_forward_proj": "gated-tanh"}, "the activation 'gated-tanh' is not known; known: relu, gelu"),
        ({"relative_attention_num_buckets": 2}, "2 buckets of distances cannot be halved twice; give at least 4"),
        ({"relative_attention_max_distance": 16}, "the farthest distance is 16, but the decoder has a bucket for each"),
        ({"decoder_start_token_id": 110}, "start_id is 110, which is no token of a vocabulary of 110"),
        ({"tie_word_embeddings": "no"}, "the key 'tie_word_embeddings' must be true or false"),
    ],
)
def test_a_configuration_that_is_not_covered_is_refused(
    folder: Callable[[str], Path], values: dict[str, Any], sentence: str
) -> None:
    model = folder("v1.0")
    change(model, **values)
    (model / "generation_config.json").unlink()
    with pytest.raises(CheckpointError, match=sentence):
        open_checkpoint(model)


def test_it_is_no_decoder(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="a T5 model is no decoder of parts"):
        load_model(folders["v1.0"])


PUBLISHED = {
    "t5-small": (
        60_506_624,
        {"d_ff": 2048, "d_kv": 64, "d_model": 512, "num_heads": 8, "num_layers": 6, "vocab_size": 32128}
        | {"decoder_start_token_id": 0, "n_positions": 512, "relative_attention_num_buckets": 32},
    ),
    "flan-t5-base": (
        247_577_856,
        {"d_ff": 2048, "d_kv": 64, "d_model": 768, "num_heads": 12, "num_layers": 12, "num_decoder_layers": 12}
        | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "vocab_size": 32128, "n_positions": 512},
    ),
}
"""Numbers in the model, and what its ``config.json`` says of them."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_is_as_large_as_the_published_model(name: str) -> None:
    from evalharness.stack.architectures.families.known import new_model

    expected, values = PUBLISHED[name]
    with torch.device("meta"):
        model = new_model(config_from_hub({"model_type": "t5"} | values, "config.json"))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
