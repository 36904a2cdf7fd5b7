"""A model as Hugging Face keeps it, a folder or a name on the hub: what is known of it before its weights are read.

Shared by the backends `transformers` and `vllm`. Importing this module loads no library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any

from evalharness.backends.checks import adapter_folder, require_model
from evalharness.backends.huggingface_errors import INSTALL, first_line, library_errors
from evalharness.backends.huggingface_tokenizer import load_tokenizer
from evalharness.errors import DataError, ServiceError, UsageError, nearest
from evalharness.hashing import canonical_json, sha256_file, sha256_text

DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "auto": "auto",
}
"""What may be typed; ``auto`` is the checkpoint's own."""
_LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
    "max_target_positions",
)
"""Names that configurations have for the longest sequence."""
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, kw_only=True)
class HuggingFaceCheckpoint:
    """One model; made by `open_checkpoint`."""

    place: str
    """What was typed, for messages: ``hf:PATH``."""
    spec: str
    folder: Path | None
    """None for a model on the hub."""
    commit: str | None
    """The commit that a name on the hub stands for now."""
    config: Any
    adapter: Path | None
    trust_remote_code: bool

    @property
    def name(self) -> str:
        """For people and file names; with the adapter's."""
        base = self.spec if self.folder is None else self.folder.resolve().name
        return base if self.adapter is None else f"{base} + {self.adapter.resolve().name}"

    @property
    def source(self) -> str:
        """What the libraries take for it."""
        return str(self.folder or self.spec)

    @property
    def max_length(self) -> int | None:
        return longest_sequence(self.config)

    @property
    def vocab_size(self) -> int | None:
        return vocab_size(self.config)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the weights, the configuration and the adapter (1 s a GB); of a model on the hub its commit.

        Raises:
            DataError: there are no weights.
        """
        adapter = {} if self.adapter is None else _hashes(self._adapter_files())
        if self.folder is None:
            return sha256_text(canonical_json({"repository": self.spec, "commit": self.commit, "adapter": adapter}))
        files = [*self._weights(), self.folder / "config.json"]
        if self.trust_remote_code:
            files += self.folder.glob("*.py")
        return sha256_text(canonical_json({"files": _hashes(files), "adapter": adapter}))

    @cached_property
    def parameters(self) -> int | None:
        """Numbers in the weights without the adapter's; None where the files do not tell.

        Raises:
            DataError: a file is damaged.
        """
        if self.folder is None or self.quantisation is not None:
            return None
        files = self._weights()
        if any(path.suffix != ".safetensors" for path in files):
            return None
        return sum(map(self._numbers, files))

    @property
    def quantisation(self) -> str | None:
        """The method that the weights are quantised by: ``gptq``, ``bitsandbytes``, ..."""
        told = getattr(self.config, "quantization_config", None)
        if told is None:
            return None
        method = told.get("quant_method") if isinstance(told, dict) else getattr(told, "quant_method", None)
        return str(getattr(method, "value", method) or "unknown")

    def tokenizer(self, asked: str | None) -> Any:
        """The library's tokenizer of the model, or of the folder or name that is asked for instead.

        Raises:
            UsageError, ServiceError, DataError: see `library_errors`.
        """
        return load_tokenizer(
            asked or self.source,
            revision=None if asked else self.commit,
            trust_remote_code=self.trust_remote_code,
            place=f"--tokenizer {asked}" if asked else f"the tokenizer of {self.place}",
        )

    def dtype(self, asked: str | None, device: str) -> str:
        """The type of numbers: what was asked for, else fp32 on a processor and the checkpoint's own elsewhere.

        Raises:
            UsageError: no such type.
        """
        if asked is not None and asked not in DTYPES:
            raise UsageError(f"--dtype {asked}: no such type of numbers; {nearest(asked, DTYPES)}")
        chosen = DTYPES[asked] if asked else "float32" if device == "cpu" and self.quantisation is None else "auto"
        own = getattr(self.config, "dtype", None)
        return str(own).removeprefix("torch.") if chosen == "auto" and own is not None else chosen

    def details(self, dtype: str, device: str) -> dict[str, Any]:
        """Further facts for a record."""
        return {
            "architecture": architecture(self.config),
            "dtype": dtype,
            "device": device,
            "parameters": self.parameters,
            "quantisation": self.quantisation,
            "adapter": None if self.adapter is None else self.adapter.resolve().name,
            "revision": self.commit,
        }

    def _weights(self) -> list[Path]:
        assert self.folder is not None
        for pattern in ("*.safetensors", "pytorch_model*.bin"):
            if found := sorted(path for path in self.folder.glob(pattern) if path.is_file()):
                return found
        raise DataError(
            f"{self.place}: {self.folder} holds no weights; *.safetensors or pytorch_model*.bin files are needed."
        )

    def _adapter_files(self) -> Iterable[Path]:
        assert self.adapter is not None
        return [path for path in self.adapter.iterdir() if path.suffix in (".json", ".safetensors", ".bin")]

    def _numbers(self, path: Path) -> int:
        with library_errors(f"{self.place}: {path}"):
            from safetensors import safe_open

            with safe_open(path, framework="np") as file:
                return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def open_checkpoint(
    spec: str, *, kind: str, revision: str | None, adapter: str | None, trust_remote_code: bool
) -> HuggingFaceCheckpoint:
    """The model that `spec` names, from its configuration alone; `kind` is what stands before it in ``--model``.

    Raises:
        UsageError: no such folder or model on the hub, or no such adapter.
        ServiceError: the library or the hub is not there.
        DataError: the configuration cannot be read.
    """
    place = f"{kind}:{spec}"
    path = Path(spec).expanduser()
    folder = path if path.is_dir() else None
    if folder is not None:
        if revision is not None:
            raise UsageError(f"--revision {revision}: {place} is a folder, which has no revisions.")
        _check_folder(place, folder)
    elif path.is_file():
        raise UsageError(f"{place}: this is a file; give the folder that it lies in.")
    elif not _HUB_NAME.fullmatch(spec):
        raise UsageError(f"{place}: no such folder; give one, or a model's name on the hub (owner/name).")
    found_adapter = None if adapter is None else adapter_folder(adapter)
    with library_errors(place):
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(str(folder or spec), revision=revision, trust_remote_code=trust_remote_code)
    return HuggingFaceCheckpoint(
        place=place,
        spec=spec,
        folder=folder,
        commit=None if folder else _commit(spec, revision),
        config=config,
        adapter=found_adapter,
        trust_remote_code=trust_remote_code,
    )


def checked_length(asked: int | None, longest: int | None, name: str) -> int | None:
    """The longest sequence: what was asked for, at most the model's own.

    Raises:
        UsageError: it is longer than the model takes.
    """
    if asked is not None and longest is not None and asked > longest:
        raise UsageError(f"--max-length {asked}: {name} was made for at most {longest} tokens.")
    return asked or longest


def at_least_one(**options: int | None) -> None:
    """Raise a `UsageError` where an option that counts something is below 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: give a whole number of at least 1.")


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, for a record."""
    return {name: metadata.version(name) for name in packages}


def needs(package: str, place: str, install: str = INSTALL) -> None:
    """Raise a `ServiceError` where a package is not installed."""
    if util.find_spec(package) is None:
        raise ServiceError(f"{place} needs the package '{package}', which is not installed: {install}")


def longest_sequence(config: Any) -> int | None:
    """Longest sequence that a configuration of the library tells, or None."""
    text = text_config(config)
    found = (getattr(text, name, None) for name in _LENGTHS)
    return next((value for value in found if isinstance(value, int) and value > 0), None)


def vocab_size(config: Any) -> int | None:
    """Entries of the vocabulary that a configuration of the library tells, or None."""
    size = getattr(text_config(config), "vocab_size", None)
    return size if isinstance(size, int) else None


def architecture(config: Any) -> str:
    """``LlamaForCausalLM``, or the type of the model where the configuration names no class."""
    return str((getattr(config, "architectures", None) or [config.model_type])[0])


def text_config(config: Any) -> Any:
    """The part of a configuration that is about text; the whole where it has no parts."""
    try:
        return config.get_text_config()
    except ValueError:  # several parts are about text
        return config


def eos_ids(config: Any, generation_config: Any) -> frozenset[int]:
    """Tokens that end a text, by what the library keeps with a model."""
    told = [getattr(source, "eos_token_id", None) for source in (generation_config, config, text_config(config))]
    return frozenset(id for ids in told if ids is not None for id in (ids if isinstance(ids, list | tuple) else [ids]))


def _check_folder(place: str, folder: Path) -> None:
    if (folder / "config.json").is_file():
        return
    require_model(place, folder)
    raise DataError(f"{place}: {folder} has no config.json; give a folder that save_pretrained has written.")


def _commit(name: str, revision: str | None) -> str | None:
    """What the hub's name stands for: the configuration has just been put into the cache, in a folder of its commit."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else revision


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    try:
        return {path.name: sha256_file(path) for path in sorted(files)}
    except OSError as error:
        raise DataError(f"a file of the model cannot be read: {first_line(error)}.") from None
