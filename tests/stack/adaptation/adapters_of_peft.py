"""Small models of several families with an adapter that PEFT has made, and PEFT's arithmetic beside ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from stack.architectures.family_cases import CASES, VOCABULARY
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.layers.attention import WholeSequence

IDS = torch.randint(2, VOCABULARY, (2, 33), generator=torch.Generator().manual_seed(4))


@dataclass(frozen=True)
class Case:
    """A family, and what of it PEFT adapts."""

    family: str
    lora: dict[str, Any] = field(default_factory=dict)


ADAPTERS = {
    "llama": Case("llama", {"target_modules": ["q_proj", "v_proj", "down_proj"]}),
    "llama, ranks and alphas apart": Case(
        "llama",
        {
            "target_modules": ["q_proj", "k_proj", "o_proj"],
            "rank_pattern": {"layers.1.self_attn.q_proj": 6, "k_proj": 2},
            "alpha_pattern": {"o_proj": 3},
            "use_rslora": True,
        },
    ),
    "llama, head and one layer": Case(
        "llama", {"target_modules": ["lm_head", "up_proj"], "layers_to_transform": [1], "init_lora_weights": "gaussian"}
    ),
    "qwen3": Case("qwen3 tied", {"target_modules": "all-linear", "lora_alpha": 5}),
    "gpt2": Case("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}),
    "gpt_neox": Case("gpt_neox", {"target_modules": r".*\.(query_key_value|dense_h_to_4h)"}),
    "falcon": Case("falcon 40b", {"target_modules": ["query_key_value"]}),
    "opt": Case("opt 350m", {"target_modules": "all-linear"}),
    "mixtral": Case(
        "mixtral", {"target_modules": ["q_proj"], "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}
    ),
}


def base(family: str) -> Any:
    """A model whose logits are about 1, so that they are told apart to 1e-5."""
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(CASES[family], attn_implementation="eager").eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.05
    return model


def adapt(case: Case) -> Any:
    """PEFT's model, with numbers in A and B."""
    options = {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM"} | case.lora
    adapted = peft.get_peft_model(base(case.family), peft.LoraConfig(**options))
    for name, parameter in adapted.named_parameters():
        if ".lora_" in name:
            parameter.data = torch.randn_like(parameter) * 0.2
    return adapted.eval()


def write(model: Any, folder: Path) -> Path:
    """A model in a folder, without its adapter."""
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def their_logits(model: nn.Module) -> Tensor:
    found: Tensor = model(input_ids=IDS, use_cache=False).logits
    return found


@torch.no_grad()
def logits(decoder: Decoder) -> Tensor:
    places = torch.arange(IDS.shape[1])
    return torch.stack([decoder.logits(decoder(line, places, WholeSequence())) for line in IDS])


def require_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def randomize(decoder: Decoder, seed: int = 2) -> None:
    """Numbers in every B, which begin with zeros."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in decoder.named_parameters():
        if name.endswith("lora_B"):
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.2
