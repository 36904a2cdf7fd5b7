"""Whole fine-tunings of a model with a few thousand parameters, on conversations of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers_for_tests import text_tokenizer

from evalharness.stack.adaptation.options import FinetuneOptions
from evalharness.stack.adaptation.setup import Finetuning, finetuning
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.config import ModelConfig
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.training.loop import Event, Loop, Outcome

CONFIG = ModelConfig(
    architecture="llama",
    vocab_size=400,
    width=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=8,
    ffn_width=48,
    norm_epsilon=1e-5,
    max_length=256,
    eos_ids=(1,),
)
TEMPLATE = (
    "{% for message in messages %}{{ '<s>' + message.role + '\\n' }}"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content + '</s>' }}{% endgeneration %}"
    "{% else %}{{ message.content + '</s>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"
)
"""As ChatML; what the assistant says is marked as transformers has it."""

User, Assistant, System = (lambda text, role=role: {"role": role, "content": text} for role in
                           ("user", "assistant", "system"))  # fmt: skip
FEW = (
    [User("How many rolls?"), Assistant("She sells 36 rolls.")],
    [System("Be brief."), User("And now?"), Assistant("The answer is B."), User("Why?"), Assistant("one two")],
    [User("Heron or hare?"), Assistant("Heron.")],
)


def tokenizer() -> TextTokenizer:
    return text_tokenizer(chat_template=TEMPLATE)


def decoder(seed: int = 0, config: ModelConfig = CONFIG) -> Decoder:
    model = Decoder(config)
    random = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.1
    return model


def write_model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A model's folder, with the tokenizer."""
    folder.mkdir(parents=True)
    config = replace(CONFIG, **changes)
    save_model(folder, config, decoder(seed, config).state_dict(), tokenizer())
    return folder


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chats(count: int) -> list[dict[str, Any]]:
    return [{"messages": [*FEW[number % 3][:-1], Assistant(f"The answer is {number}.")]} for number in range(count)]


def pairs(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"How many after {n}?", "chosen": f"The answer is {n + 1}.", "rejected": f"She sells {n} rolls."}
        for n in range(count)
    ]


def made(base: Path, rows: Iterable[Mapping[str, Any]] | None = None) -> Path:
    """A folder with a model and conversations."""
    write_model(base / "model")
    write_rows(base / "chats.jsonl", chats(24) if rows is None else rows)
    return base


def values(folder: str = "run", **changes: Any) -> dict[str, Any]:
    """A fine-tuning as its YAML has it; a change that is a mapping changes only its own keys."""
    told: dict[str, Any] = {
        "folder": folder,
        "model": "model",
        "data": {"sources": [{"name": "chats", "paths": ["chats.jsonl"]}], "context": 96},
        "steps": 12,
        "batch": {"sequences": 2, "micro": 1},
        "optimizer": [{"rate": 0.01}],
        "checkpoints": {"every": 4},
        "log_every": 1,
        "compute": {"device": "cpu", "threads": 1},
    }
    for name, value in changes.items():
        old = told.get(name)
        told[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return told


def options(folder: str = "run", **changes: Any) -> FinetuneOptions:
    return FinetuneOptions.model_validate(values(folder, **changes))


def opened(base: Path, folder: str = "run", **changes: Any) -> Finetuning:
    with finetuning(options(folder, **changes), base / "model", base) as training:
        return training


def train(base: Path, folder: str = "run", tell: Any = None, evaluator: Any = None, **changes: Any) -> Outcome:
    def silent(event: Event) -> None:
        pass

    return Loop(opened(base, folder, **changes), evaluator, tell or silent).run()
