"""Models to serve: a tiny random Llama in a folder, and one that drips letters as slowly as a test likes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers_for_tests import BOS, EOS, trained

from evalharness.types import BackendInfo, Completion, Completions, GenerateRequest, Ticket, Wave

CHAT = (
    "{% for tool in tools or [] %}[tool] {{ tool.function.name }}\n{% endfor %}"
    "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}\n{% endfor %}[assistant]"
)
CONTEXT = 256
WIDTH, FFN_WIDTH = 32, 48


def write_llama(folder: Path) -> Path:
    """Two layers of random weights with the small tokenizer of the tests, as a Hugging Face folder."""
    import torch
    from safetensors.torch import save_file

    from evalharness.stack.architectures.families.known import FAMILIES, config_from_hub

    folder.mkdir(parents=True)
    tokenizer = trained()
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {"bos_token": BOS, "eos_token": EOS, "add_bos_token": False, "chat_template": CHAT}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    size = tokenizer.get_vocab_size()
    values = {
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": WIDTH,
        "intermediate_size": FFN_WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(values))
    shapes = {
        "up": (FFN_WIDTH, WIDTH),
        "gate": (FFN_WIDTH, WIDTH),
        "down": (WIDTH, FFN_WIDTH),
        "embedding": (size, WIDTH),
    }
    random = torch.Generator().manual_seed(5)
    tensors = {}
    for rule in FAMILIES["llama"].rules(config_from_hub(values, "config.json"), ()):
        (ours,), (hub,) = rule.ours, rule.stored
        part = ours.split(".")[-2]
        if part.endswith("norm"):
            tensors[hub] = torch.ones(WIDTH)
        else:
            tensors[hub] = torch.randn(shapes.get(part, (WIDTH, WIDTH)), generator=random) * 0.3
    save_file(tensors, folder / "model.safetensors")
    return folder


class Letters:
    """A token is a character."""

    bos_id: int | None = None
    eos_id: int | None = None
    add_bos = False
    chat_template: str | None = CHAT
    special_tokens: Mapping[str, str] = {}
    fingerprint = "letters"

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


@dataclass
class _Saying:
    ticket: Ticket
    said: list[int] = field(default_factory=list)


class Dripping:
    """Says ``abcabc...``, one letter every `seconds`, to `at_once` requests at a time; drops who does not wait."""

    tokenizer = Letters()
    info = BackendInfo(
        name="dripping", kind="dripping", accepts=frozenset({"ids"}), fingerprint="dripping-1", max_length=100_000,
        verbs=frozenset({"generate"}),
    )  # fmt: skip

    def __init__(self, *, seconds: float = 0.005, at_once: int = 1000) -> None:
        self.seconds = seconds
        self.at_once = at_once

    def answer(self, wave: Wave) -> None:
        waiting, running = list(wave), list[_Saying]()
        while waiting or running:
            waiting = [ticket for ticket in [*waiting, *wave.joined()] if not ticket.cancelled]
            running = [saying for saying in running if not saying.ticket.cancelled and not self._step(saying)]
            while waiting and len(running) < self.at_once:
                running.append(_Saying(waiting.pop(0)))
                running[-1].ticket.begin()
            time.sleep(self.seconds)

    def close(self) -> None: ...

    def _step(self, saying: _Saying) -> bool:
        """Say one letter more; whether it was the last one."""
        request = saying.ticket.request
        assert isinstance(request, GenerateRequest)
        saying.said.append(ord("abc"[len(saying.said) % 3]))
        if request.on_tokens is not None:
            request.on_tokens(0, saying.said[-1:])
        if len(saying.said) < request.sampling.max_tokens:
            return False
        text = self.tokenizer.decode(saying.said)
        completion = Completion(text=text, ids=tuple(saying.said), finish_reason="length")
        saying.ticket.resolve(Completions((completion,) * request.n))
        return True
