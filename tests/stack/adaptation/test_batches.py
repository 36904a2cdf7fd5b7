"""Packed conversations: none sees another, and each counts as it does alone."""

from __future__ import annotations

import pytest
import torch
from stack.adaptation.tiny_finetuning import FEW, TEMPLATE, decoder, tokenizer
from torch.nn import functional as F

from evalharness.stack.adaptation.batches import chat_batch, packed
from evalharness.stack.adaptation.chat import ChatEncoder, Encoded
from evalharness.stack.adaptation.conversations import Conversation, Turn
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.model import TrainingModel


def few() -> list[Encoded]:
    encode = ChatEncoder(tokenizer(), TEMPLATE)
    return [encode(Conversation("here", tuple(Turn(**message) for message in messages))) for messages in FEW]


def test_the_fullest_sequence_that_still_has_room() -> None:
    chats = few()
    sizes = [len(each) for each in chats]
    together = packed(chats, sum(sizes) - 1)
    assert sorted(len(each) for each in together) == [1, 2]
    assert sorted(each.where for sequence in together for each in sequence) == ["here"] * 3
    assert all(sum(map(len, sequence)) < sum(sizes) for sequence in together)


def test_a_batch_is_as_long_as_its_longest() -> None:
    chats = few()
    batch = chat_batch([(chats[0],), (chats[1], chats[2])])
    assert batch.inputs_BT.shape == (2, len(chats[1]) + len(chats[2]) - 1)
    assert batch.weight == sum(each.learned for each in chats)
    # What is learned are the answers' tokens and what ends them; the rest of the row is padding.
    kept = batch.targets_BT[0][batch.weights_BT[0].bool()]
    assert tokenizer().tokenizer.decode(kept.tolist(), skip_special_tokens=False) == "She sells 36 rolls.</s>"


@pytest.mark.parametrize("trained", ["all", "blocks"])
def test_packed_losses_and_gradients_are_those_of_each_alone(trained: str) -> None:
    chats = few()
    model = TrainingModel(decoder(3))
    if trained == "blocks":
        model.decoder.embedding.requires_grad_(False)

    def gradients(batches: list[list[tuple[Encoded, ...]]]) -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        total = 0.0
        for sequences in batches:
            losses, plain = model(chat_batch(sequences))
            losses.backward()
            total += float(plain)
        return total, {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}

    alone, by_alone = gradients([[(each,)] for each in chats])
    together, by_together = gradients([[tuple(chats)]])
    rows, _ = gradients([[(each,) for each in chats]])
    assert together == pytest.approx(alone, rel=1e-5)
    assert rows == pytest.approx(alone, rel=1e-5)
    assert by_alone.keys() == by_together.keys()
    for name, gradient in by_alone.items():
        torch.testing.assert_close(by_together[name], gradient, rtol=1e-4, atol=1e-5)
    # The order, where one before another could be seen.
    other, _ = gradients([[tuple(reversed(chats))]])
    assert other == pytest.approx(alone, rel=1e-5)


def test_the_loss_is_the_mean_over_the_tokens_of_answers() -> None:
    (chat, *_) = few()
    model = decoder(3)
    ids = torch.from_numpy(chat.ids_S)[None]
    hidden = model(ids[:, :-1], torch.arange(ids.shape[1] - 1), BatchAttention())
    each = F.cross_entropy(model.logits(hidden)[0], ids[0, 1:], reduction="none")
    learned = torch.from_numpy(chat.learned_S)[1:]
    plain = TrainingModel(model)(chat_batch([(chat,)]))[1]
    assert float(plain) == pytest.approx(float(each[learned].detach().sum()), rel=1e-5)
    assert 0 < int(learned.sum()) < len(learned)
