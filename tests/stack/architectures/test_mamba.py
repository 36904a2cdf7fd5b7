"""Mamba against transformers: tiny random models, in both directions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from evalharness.stack.architectures import mamba
from evalharness.stack.architectures.families.known import config_from_hub, hub_config
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.checkpoints.load import build_plain, open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.errors import CheckpointError

VOCABULARY = 110
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "bos_token_id": 0, "eos_token_id": 1}
CASES = {
    "as published": transformers.MambaConfig(**SIZES),
    "biased, wide": transformers.MambaConfig(
        **SIZES, use_bias=True, use_conv_bias=False, time_step_rank=5, state_size=7, expand=3, conv_kernel=2
    ),
    "untied, three layers": transformers.MambaConfig(
        **SIZES | {"num_hidden_layers": 3},
        tie_word_embeddings=False,
        conv_kernel=6,
        expand=1,
        residual_in_fp32=False,
        layer_norm_epsilon=1e-3,
    ),
    "one token in the convolution": transformers.MambaConfig(**SIZES, conv_kernel=1, time_step_rank=1, state_size=1),
}
LINES = [
    torch.randint(2, VOCABULARY, (length,), generator=torch.Generator().manual_seed(length)) for length in (70, 41, 9)
]


@pytest.fixture(params=CASES, scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A folder, and transformers' model in it."""
    torch.manual_seed(3)
    theirs = transformers.MambaForCausalLM(CASES[request.param]).eval()
    for parameter in theirs.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    folder = tmp_path_factory.mktemp("mamba")
    theirs.save_pretrained(folder)
    return folder, theirs


def loaded(folder: Path) -> Mamba:
    model = build_plain(open_checkpoint(folder), torch.float32, "cpu")
    assert isinstance(model, Mamba)
    return model


def padded(lines: list[Tensor]) -> dict[str, Tensor]:
    """The lines as one batch that is padded on the left."""
    longest = max(map(len, lines))
    room = [longest - len(line) for line in lines]
    return {
        "input_ids": torch.stack([nn.functional.pad(line, (left, 0)) for line, left in zip(lines, room, strict=True)]),
        "attention_mask": (torch.arange(longest) >= torch.tensor(room)[:, None]).long(),
    }


def logits(model: Mamba, line: Tensor) -> Tensor:
    hidden_BTW, _ = model(line[None])
    return model.logits(hidden_BTW[0])


def batches(model: nn.Module) -> list[list[Tensor]]:
    """The lines as transformers is asked of them: at once, but where its padding would be seen. A bias behind the
    masked input makes of it something that the convolution of the first tokens takes in (transformers 5.24)."""
    return [[line] for line in LINES] if model.config.use_bias else [LINES]


@torch.inference_mode()
def test_logits_are_those_of_transformers(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model = loaded(folder)
    for lines in batches(theirs):
        for line, found in zip(lines, theirs(**padded(lines)).logits, strict=True):
            torch.testing.assert_close(logits(model, line), found[-len(line) :], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_saved_folder_is_read_by_transformers(saved: tuple[Path, nn.Module], tmp_path: Path) -> None:
    folder, theirs = saved
    model, config = loaded(folder), open_checkpoint(folder).config
    assert config_from_hub(hub_config(config, "float32"), "config.json") == config
    save_model(tmp_path, config, model.state_dict(), None)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(again) is type(theirs)
    for line in LINES:
        torch.testing.assert_close(again(line[None]).logits, theirs(line[None]).logits, atol=1e-4, rtol=0)
    assert open_checkpoint(tmp_path).config == config
    is_read(tmp_path, model)


@torch.inference_mode()
def test_the_recurrence_draws_what_transformers_draws(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model = loaded(folder)
    greedy = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, "use_cache": True}
    drawn = torch.cat([theirs.generate(**padded(lines), **greedy)[:, -20:] for lines in batches(theirs)])
    states = [model.begin(line.tolist()) for line in LINES]
    texts = []
    for _ in range(20):
        tokens = model.logits(torch.stack([state.hidden_W for state in states])).argmax(-1).tolist()
        texts.append(tokens)
        states = model.step(states, tokens)
    assert torch.tensor(texts).T.tolist() == drawn.tolist()


# --------------------------------------------------------------------------- cut anywhere


SMALL = MambaConfig(vocab_size=VOCABULARY, width=16, layers=2, time_step_rank=2, state_size=4, max_length=2048)


def random_model(config: MambaConfig) -> Mamba:
    torch.manual_seed(5)
    model = Mamba(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.3)
    return model


@torch.inference_mode()
@settings(deadline=None, max_examples=30, derandomize=True)
@given(cuts=st.lists(st.integers(0, 40), max_size=6), kernel=st.integers(1, 5))
def test_a_text_may_be_read_in_any_pieces(cuts: list[int], kernel: int) -> None:
    model = random_model(replace(SMALL, kernel=kernel))
    ids = torch.randint(0, VOCABULARY, (2, 40), generator=torch.Generator().manual_seed(1))
    whole, end = model(ids)
    places = [0, *sorted({*cuts, 40} - {0})]
    state, pieces = None, []
    for begin, stop in pairwise(places):
        hidden, state = model(ids[:, begin:stop], state)
        pieces.append(hidden)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(state.windows_JBKE, end.windows_JBKE, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(state.spaces_JBEN, end.spaces_JBEN, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_one_token_at_a_time_is_the_whole_scan() -> None:
    model = random_model(SMALL)
    ids = LINES[1][None]
    whole, _ = model(ids)
    state = model.blank(1)
    for token in range(ids.shape[1]):
        hidden, state = model(ids[:, token : token + 1], state)
        torch.testing.assert_close(hidden[:, 0], whole[:, token], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_several_texts_go_on_from_one_state_which_stays_as_it_is() -> None:
    model = random_model(SMALL)
    prompt = LINES[2].tolist()
    state = model.begin(prompt)
    one, other = model.step([state, state], [5, 6])
    [again] = model.step([state], [5])
    torch.testing.assert_close(one.hidden_W, again.hidden_W, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.hidden_W, model.begin([*prompt, 5]).hidden_W, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other.hidden_W, model.follow([state], [[6]])[0][0], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_continuations_are_read_side_by_side_and_long_ones_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SMALL)
    states = [model.begin([3, 4]), model.begin([5]), model.begin([6, 7, 8])]
    said = [LINES[0].tolist(), [9], LINES[2].tolist()]
    alone = [model.follow([state], [tokens])[0] for state, tokens in zip(states, said, strict=True)]
    assert [len(hidden) for hidden in alone] == [70, 1, 9]
    monkeypatch.setattr(mamba, "TOKENS_AT_ONCE", 16)
    monkeypatch.setattr(mamba, "TEXTS_AT_ONCE", 2)
    for found, expected in zip(model.follow(states, said), alone, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_packed_weights_are_the_same_model() -> None:
    model, packed = random_model(SMALL), random_model(SMALL)
    packed.pack()
    assert not isinstance(packed.blocks[0].mixer.in_proj, nn.Linear)
    for prompt in (LINES[0].tolist(), [5]):
        state, expected = packed.begin(prompt), model.begin(prompt)
        torch.testing.assert_close(state.hidden_W, expected.hidden_W, atol=1e-4, rtol=1e-4)
        (state,), (expected,) = packed.step([state], [7]), model.step([expected], [7])
        torch.testing.assert_close(
            packed.logits(state.hidden_W[None]), model.logits(expected.hidden_W[None]), atol=1e-4, rtol=1e-4
        )


@torch.inference_mode()
def test_bf16_weights_keep_the_state_in_fp32() -> None:
    whole = random_model(SMALL)
    half = random_model(SMALL).to(torch.bfloat16)
    hidden, state = half(LINES[1][None])
    assert (hidden.dtype, state.spaces_JBEN.dtype, state.windows_JBKE.dtype) == (
        torch.float32,
        torch.float32,
        torch.bfloat16,
    )
    difference = (half.logits(hidden) - whole.logits(whole(LINES[1][None])[0])).abs().max()
    assert difference < 0.1 * whole.logits(hidden).std()


# --------------------------------------------------------------------------- configurations and folders


PUBLISHED = {
    "model_type": "mamba",
    "hidden_size": 768,
    "num_hidden_layers": 24,
    "state_size": 16,
    "conv_kernel": 4,
    "expand": 2,
    "time_step_rank": 48,
    "vocab_size": 50280,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "layer_norm_epsilon": 1e-5,
    "residual_in_fp32": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def test_the_published_configuration_is_as_large_as_the_published_model() -> None:
    config = config_from_hub(PUBLISHED, "config.json")
    assert (config.max_length, config.bos_id, config.eos_ids) == (2048, 0, (0,))
    with torch.device("meta"):
        model = Mamba(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 129_135_360
    by_itself = {key: value for key, value in PUBLISHED.items() if key != "time_step_rank"}
    assert config_from_hub(by_itself, "config.json") == config
    assert config_from_hub(PUBLISHED | {"time_step_rank": "auto"}, "config.json") == config


@pytest.mark.parametrize("case", CASES)
def test_transformers_reads_our_configuration(case: str) -> None:
    theirs = CASES[case]
    values = hub_config(config_from_hub(theirs.to_dict(), "config.json"), "float32")
    read = transformers.AutoConfig.for_model(**values)
    for key, value in theirs.to_dict().items():
        if key in values and key != "dtype":
            assert getattr(read, key) == value, key


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden_act": "gelu"}, "the key 'hidden_act' is 'gelu', but only silu is covered"),
        ({"state_size": 0}, "the key 'state_size' must be a whole number of at least 1, not 0"),
        ({"time_step_rank": "wide"}, "the key 'time_step_rank' must be a whole number of at least 1, not 'wide'"),
        ({"use_conv_bias": 1}, "the key 'use_conv_bias' must be true or false, not 1"),
        ({"vocab_size": None}, "the key 'vocab_size' is missing; it is not a complete configuration"),
        ({"layer_norm_epsilon": -1.0}, "the key 'layer_norm_epsilon' must be a number above 0, not -1.0"),
    ],
)
def test_what_is_not_covered_is_refused_in_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError) as told:
        config_from_hub(PUBLISHED | changes, "folder/config.json")
    assert str(told.value).startswith(f"folder/config.json: {sentence}")
    assert "\n" not in str(told.value)


Tensors = dict[str, Tensor]
HEAD, EMBEDDING = "lm_head.weight", "backbone.embeddings.weight"


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Mamba]:
    model = random_model(SMALL)
    save_model(tmp_path, SMALL, model.state_dict(), None)
    return tmp_path, model


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    changed = change(load_file(path))
    save_file({name: tensor.contiguous() for name, tensor in changed.items()}, path)


def is_read(folder: Path, model: Mamba) -> None:
    found = loaded(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as told:
        loaded(folder)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_older_names_names_without_a_beginning_and_a_stored_head_are_read(written: tuple[Path, Mamba]) -> None:
    folder, model = written
    whole = load_file(folder / "model.safetensors")
    assert HEAD not in whole
    rewrite(folder, lambda _: {name.removeprefix("backbone."): tensor for name, tensor in whole.items()})
    is_read(folder, model)
    rewrite(folder, lambda _: {name.replace("embeddings", "embedding"): tensor for name, tensor in whole.items()})
    is_read(folder, model)
    rewrite(folder, lambda _: whole | {HEAD: whole[EMBEDDING].clone()})
    is_read(folder, model)
    rewrite(folder, lambda _: whole | {HEAD: whole[EMBEDDING] + 1})
    assert f"config.json ties '{HEAD}' to the embedding (tie_word_embeddings), but the two differ" in refused(folder)


def test_any_missing_or_extra_tensor_and_any_other_shape_is_named(written: tuple[Path, Mamba]) -> None:
    folder, _ = written
    whole = load_file(folder / "model.safetensors")
    for missing in whole:
        rewrite(folder, lambda _: {name: tensor for name, tensor in whole.items() if name != missing})  # noqa: B023
        assert f"lacks the weights '{missing}'; it is not a complete checkpoint" in refused(folder)
    extra = "backbone.layers.0.mixer.in_proj.bias"
    rewrite(folder, lambda _: whole | {extra: torch.ones(64)})
    assert f"the weights '{extra}' belong to no part that the configuration names" in refused(folder)
    for name in ("mixer.A_log", "mixer.conv1d.weight", "mixer.D"):
        stored = f"backbone.layers.1.{name}"
        rewrite(folder, lambda _: whole | {stored: whole[stored][:-1]})  # noqa: B023
        assert f"the weights '{stored}' have the shape (" in refused(folder)


def test_a_configuration_of_another_size_is_refused(written: tuple[Path, Mamba]) -> None:
    folder, _ = written
    path = folder / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"state_size": 5}))
    assert "have the shape (32, 4), but the configuration asks for (32, 5)" in refused(folder)
    path.write_text(json.dumps(values | {"num_hidden_layers": 3}))
    assert "lacks the weights 'backbone.layers.2.norm.weight'" in refused(folder)
