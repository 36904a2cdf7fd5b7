"""A tiny model that really can do two tasks: bytes as tokens, 0.6 M parameters, trained here in about a minute.

What a gate says of real damage is tried on it where no model can be downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

STEPS, BATCH, SEED = 420, 64, 0
END = 256
"""The token behind an answer; the others are bytes."""


def rows() -> list[tuple[str, str]]:
    """Questions of the training splits as the tasks ask them without demonstrations, and their answers."""
    from evalharness.data.generators import coin_flip, last_letters

    found = [row for generate in (coin_flip.generate, last_letters.generate) for row in generate("train")]
    return [(f"Q: {row['question']}\nA:", f" The answer is {row['answer']}.") for row in found]


def train(folder: Path, steps: int = STEPS) -> Path:
    """Train, and write a Hugging Face folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=257, hidden_size=128, intermediate_size=320, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=512, eos_token_id=END, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    ids, labels = _batches(rows())
    random = torch.Generator().manual_seed(SEED)
    for _ in range(steps):
        chosen = torch.randint(len(ids), (BATCH,), generator=random)
        longest = int((ids[chosen] != END).sum(1).max()) + 1
        loss = model(input_ids=ids[chosen, :longest], labels=labels[chosen, :longest]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    _tokenizer(folder)
    return folder


def _batches(pairs: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded with the end token, and labels that count the answer and its end only, [rows, longest]."""
    sequences = [(list(question.encode()), [*answer.encode(), END]) for question, answer in pairs]
    longest = max(len(question) + len(answer) for question, answer in sequences)
    ids = torch.full((len(sequences), longest), END)
    labels = torch.full((len(sequences), longest), -100)
    for row, (question, answer) in enumerate(sequences):
        both = question + answer
        ids[row, : len(both)] = torch.tensor(both)
        labels[row, len(question) : len(both)] = torch.tensor(answer)
    return ids, labels


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
