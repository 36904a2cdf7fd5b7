"""``adapter_config.json`` as PEFT writes it: what of it decides what a LoRA adapter computes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evalharness.stack.errors import CheckpointError
from evalharness.stack.tokenization.text import read_json

WITHOUT_EFFECT = frozenset(
    (
        *("auto_mapping", "base_model_name_or_path", "revision", "peft_version", "task_type", "inference_mode"),
        *("lora_dropout", "fan_in_fan_out", "layers_pattern", "megatron_core", "runtime_config", "ensure_weight_tying"),
        *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"),
    )
)
"""Keys that do not change what a finished adapter computes: about training, or only read beside others."""
READ = frozenset(
    (
        *("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights"),
        *("target_modules", "target_parameters", "exclude_modules", "layers_to_transform"),
    )
)
BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of ``init_lora_weights`` that leave the model's own weights as they are."""


class AdapterOptions:
    """The configuration of a LoRA adapter.

    Raises:
        CheckpointError: the file is missing, or says something that is not covered.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path.parent} has no {path.name}; give a folder that PEFT has written.")
        self._path, self._values = path, read_json(path)
        self._check()
        self.rank_stabilized = bool(self._values.get("use_rslora"))

    def rank(self, layer: str) -> int:
        """R of a layer, by Hugging Face's name of it."""
        return int(self._of(layer, "r", "rank_pattern"))

    def alpha(self, layer: str) -> float:
        return float(self._of(layer, "lora_alpha", "alpha_pattern"))

    @property
    def dropout(self) -> float:
        """What it was trained with."""
        return float(self._values.get("lora_dropout") or 0.0)

    def targets(self, layer: str) -> bool:
        """Whether the configuration names a layer."""
        wanted, layers = self._values.get("target_modules") or [], self._values.get("layers_to_transform")
        if matches(self._values.get("exclude_modules") or [], layer) or not matches(wanted, layer):
            return False
        if isinstance(wanted, str) or layer in wanted or layers in (None, []):
            return True
        number = re.search(r"\.(\d+)\.", layer)
        return number is not None and int(number[1]) in ([layers] if isinstance(layers, int) else layers)

    def _of(self, layer: str, usual: str, patterns: str) -> Any:
        for pattern, value in (self._values.get(patterns) or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", layer):
                return value
        return self._values[usual]

    def _check(self) -> None:
        values = self._values
        if values.get("peft_type") != "LORA":
            raise self._wrong(f"adapters of the kind '{values.get('peft_type')}' are not covered; LoRA is")
        if values.get("bias", "none") != "none":
            raise self._wrong(f"biases that were trained too (bias: {values['bias']}) are not covered; take none")
        if values.get("init_lora_weights", True) not in BEGINNINGS:
            raise self._wrong(
                f"the adapter began by changing the model's own weights (init_lora_weights: "
                f"{values['init_lora_weights']}); let PEFT convert it to plain LoRA"
            )
        for key, value in values.items():
            if value and key not in WITHOUT_EFFECT | READ:
                raise self._wrong(f"the option '{key}' is not covered; plain LoRA is")
        for key in ("target_modules", "exclude_modules"):
            if not _is_pattern(values.get(key) or []):
                raise self._wrong(f"'{key}' is no list of names and no regular expression")
        for key, patterns in (("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")):
            unlike = values.get(patterns) or {}
            if not isinstance(unlike, dict) or not all(map(_is_pattern, unlike)):
                raise self._wrong(f"'{patterns}' must be an object, not {unlike!r}")
            for number in (values.get(key), *unlike.values()):
                if not isinstance(number, int | float) or number <= 0:
                    raise self._wrong(f"'{key}' must be a number above 0, not {number!r}")

    def _wrong(self, said: str) -> CheckpointError:
        return CheckpointError(f"{self._path}: {said}.")


def _is_pattern(value: Any) -> bool:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error:
            return False
        return True
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def matches(patterns: str | Iterable[str], layer: str) -> bool:
    """Whether PEFT takes these patterns to mean a layer: one expression for the whole name, or ends of names."""
    if isinstance(patterns, str):
        return re.fullmatch(patterns, layer) is not None
    return any(layer == each or layer.endswith(f".{each}") for each in patterns)
