"""T5, its v1.1 and an odd one against transformers: logits, training batches, cached generation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stack.architectures.t5_cases import CASES, drawn, loaded, made, padded
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder

PROMPTS = [drawn(length) for length in (70, 41, 9)]
TEXTS = [drawn(length, 1) for length in (40, 25, 6)]


@pytest.fixture(params=CASES, scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A folder, and transformers' model in it."""
    theirs = made(request.param)
    folder = tmp_path_factory.mktemp("t5")
    theirs.save_pretrained(folder)
    return folder, theirs


def fed(model: EncoderDecoder, text: Tensor) -> Tensor:
    return torch.cat([torch.tensor([model.config.start_id]), text[:-1]])


@torch.inference_mode()
def test_logits_are_those_of_a_batch_of_transformers_padded_on_the_left(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model = loaded(folder)
    said = [fed(model, text) for text in TEXTS]
    decoder = padded(said, left=True)
    batch = theirs(
        **padded(PROMPTS, left=True),
        decoder_input_ids=decoder["input_ids"],
        decoder_attention_mask=decoder["attention_mask"],
    ).logits
    for prompt, text, expected in zip(PROMPTS, said, batch, strict=True):
        hidden_TW = model(prompt[None], None, text[None])[0]
        torch.testing.assert_close(model.logits(hidden_TW), expected[-len(text) :], atol=1e-4, rtol=0)
        alone = theirs(input_ids=prompt[None], decoder_input_ids=text[None]).logits[0]
        torch.testing.assert_close(model.logits(hidden_TW), alone, atol=1e-4, rtol=0)


def test_a_training_batch_has_their_losses_and_gradients(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model = loaded(folder).requires_grad_(True)
    inputs, targets = padded(PROMPTS, left=False), padded(TEXTS, left=False)
    labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, -100)
    said = padded([fed(model, text) for text in TEXTS], left=False)["input_ids"]
    hidden_BTW = model(inputs["input_ids"], inputs["attention_mask"].bool(), said)
    loss = F.cross_entropy(model.head(hidden_BTW).flatten(0, 1), labels.flatten())
    loss.backward()
    expected = theirs(
        **inputs, decoder_input_ids=said, decoder_attention_mask=targets["attention_mask"], labels=labels
    ).loss
    theirs.zero_grad()
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    pairs = {
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "encoder.positions",
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias": "decoder.positions",
        "decoder.block.1.layer.1.EncDecAttention.k": "decoder.blocks.1.cross_attention.key_value.key",
        "encoder.block.1.layer.0.SelfAttention.q": "encoder.blocks.1.attention.qkv.query",
        "shared": "embedding",
        "lm_head": "head",
    }
    for name, ours in pairs.items():
        found, grad = (each.get_submodule(part).weight.grad for each, part in ((model, ours), (theirs, name)))
        torch.testing.assert_close(found, grad, atol=1e-5, rtol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("packed", [False, True])
def test_cached_texts_are_those_of_transformers(saved: tuple[Path, nn.Module], packed: bool) -> None:
    folder, theirs = saved
    model = loaded(folder)
    if packed:
        model.pack()
    # The cache of transformers 5.24 has as many layers as the encoder.
    can_cache = theirs.config.num_decoder_layers == theirs.config.num_layers
    expected = theirs.generate(
        **padded(PROMPTS, left=True), max_new_tokens=20, do_sample=False, eos_token_id=None, use_cache=can_cache
    )[:, 1:]
    states = [model.begin(prompt.tolist()) for prompt in PROMPTS]
    texts: list[list[int]] = []
    for _ in range(20):
        texts.append(model.logits(torch.stack([state.hidden_W for state in states])).argmax(-1).tolist())
        states = model.step(states, texts[-1])
    assert torch.tensor(texts).T.tolist() == expected.tolist()


@torch.inference_mode()
def test_texts_that_go_on_from_one_state_do_not_touch_each_other(saved: tuple[Path, nn.Module]) -> None:
    """Two texts of one prompt, longer than the room that is made for one at first, beside a third that is cut off."""
    model = loaded(saved[0])
    prompt, one, other = PROMPTS[1], drawn(50, 2), drawn(50, 3)
    start = model.begin(prompt.tolist())
    states = [start, start]
    hidden: list[list[Tensor]] = [[start.hidden_W], [start.hidden_W]]
    for ids in zip(one.tolist(), other.tolist(), strict=True):
        model.follow(states, [[7, 8, 9], [4]])
        model.step([states[0]], [11])
        states = model.step(states, ids)
        for kept, state in zip(hidden, states, strict=True):
            kept.append(state.hidden_W)
    for text, kept in zip((one, other), hidden, strict=True):
        said = torch.cat([torch.tensor([model.config.start_id]), text])
        whole = model(prompt[None], None, said[None])[0]
        torch.testing.assert_close(torch.stack(kept), whole, atol=1e-4, rtol=1e-4)
        (followed,) = model.follow([start], [text.tolist()])
        torch.testing.assert_close(followed, whole[1:], atol=1e-4, rtol=1e-4)
