"""A tiny model that really can do two tasks: bytes as tokens, 0.3 M parameters, trained here in about a minute.

What a gate says of real damage is tried on it where no model can be downloaded.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

STEPS, SEED = 300, 0
ROWS = (8, 24)
"""Of a step, by task: last letters take longer to learn, and their questions are half as long."""
MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
WARM, COOL = 20, 0.4
"""Steps in which the rates rise, and the last part of training in which they fall."""
QUESTION = 0.1
"""Weight of a question's bytes in the loss: to predict names teaches the model to look one letter back."""
END = 256
"""The token behind an answer; the others are bytes."""


def pairs() -> list[list[tuple[str, str]]]:
    """By task: questions of the training split as it asks them without demonstrations, and their answers."""
    from evalharness.data.generators import coin_flip, last_letters

    return [
        [(f"Q: {row['question']}\nA:", f" The answer is {row['answer']}.") for row in generate("train")]
        for generate in (coin_flip.generate, last_letters.generate)
    ]


def train(folder: Path, steps: int = STEPS) -> Path:
    """Train, and write a Hugging Face folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=257, hidden_size=128, intermediate_size=320, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=512, eos_token_id=END, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    optimizers = _optimizers(model)
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, partial(_rate, steps)) for each in optimizers]
    tasks = [_batches(questions) for questions in pairs()]
    random = torch.Generator().manual_seed(SEED)
    for _ in range(steps):
        # A pass for each task: padded to the longer questions, half of the work would be on padding.
        losses, count = torch.zeros(()), torch.zeros(())
        for (ids, weights), rows in zip(tasks, ROWS, strict=True):
            ids_BT, weights_BT = _drawn(ids, weights, rows, random)
            logits_BTV = model(input_ids=ids_BT).logits[:, :-1]
            losses_BT = torch.nn.functional.cross_entropy(logits_BTV.transpose(1, 2), ids_BT[:, 1:], reduction="none")
            losses = losses + (losses_BT * weights_BT[:, 1:]).sum()
            count = count + weights_BT[:, 1:].sum()
        (losses / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in (*optimizers, *schedules):
            each.step()
        model.zero_grad()
    model.save_pretrained(folder)
    _tokenizer(folder)
    return folder


def _optimizers(model: Any) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest: a fifth of the steps that AdamW alone takes."""
    matrices = [weight for name, weight in model.named_parameters() if ".layers." in name and weight.ndim == 2]
    others = [weight for name, weight in model.named_parameters() if not (".layers." in name and weight.ndim == 2)]
    return [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.0),
        torch.optim.AdamW(others, lr=OTHER_RATE, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _rate(steps: int, step: int) -> float:
    return min(1.0, (step + 1) / WARM) * min(1.0, max(0.02, (steps - step) / (COOL * steps)))


def _batches(questions: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [rows, longest], padded with the end token, and the weight of each in the loss: answers count whole."""
    sequences = [(list(question.encode()), [*answer.encode(), END]) for question, answer in questions]
    longest = max(len(question) + len(answer) for question, answer in sequences)
    ids = torch.full((len(sequences), longest), END)
    weights = torch.zeros(len(sequences), longest)
    for row, (question, answer) in enumerate(sequences):
        both = len(question) + len(answer)
        ids[row, :both] = torch.tensor(question + answer)
        weights[row, : len(question)] = QUESTION
        weights[row, len(question) : both] = 1.0
    return ids, weights


def _drawn(
    ids: torch.Tensor, weights: torch.Tensor, count: int, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = torch.randint(len(ids), (count,), generator=random)
    longest = int((weights[chosen] > 0).sum(1).max())
    return ids[chosen, :longest], weights[chosen, :longest]


def _tokenizer(folder: Path) -> None:
    """A token a byte: no merges."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters: dict[Any, int] = {_letter(byte): byte for byte in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<end>", special=True)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)


def _letter(byte: int) -> str:
    """How byte-level tokenizers spell a byte (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if byte in printable:
        return chr(byte)
    return chr(256 + sum(other not in printable for other in range(byte)))
