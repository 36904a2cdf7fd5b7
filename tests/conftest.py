"""What every test stands on: no network, and helper modules beside the tests can be imported.

A test that needs torch sets its own number of threads; nothing heavy is imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from evalharness import registry

# Libraries read these when they are imported, so they are set before any test is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Triton's kernels are interpreted where there is no GPU that could run them.
if not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd")):
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Helpers are imported as `parity.lm_eval_oracle`. Last in the path, so that no folder here hides a package.
sys.path.append(str(Path(__file__).parent))

# A busy machine is no reason to fail: no test has a deadline for a single example.
settings.register_profile("evalharness", deadline=None)
settings.load_profile("evalharness")


@pytest.fixture(autouse=True)
def _no_component_stays() -> Generator[None, None, None]:
    """What a test trusts is gone after it: the registry belongs to the process, and any test may come next."""
    before = {kind: dict(components) for kind, components in registry._TRUSTED.items()}
    yield
    for kind, components in registry._TRUSTED.items():
        components.clear()
        components.update(before[kind])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Where real data is promised, a test that skips for lack of it fails."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("EVALHARNESS_DATA") and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2])
        if "EVALHARNESS_DATA" in reason or "mirror" in reason:
            report.outcome = "failed"
            report.longrepr = f"EVALHARNESS_DATA is set, yet: {reason}"


# ----------------------------------------------------------------------- which kernels computed, at the end of the log

KERNELS = pytest.StashKey[dict[str, set[str]]]()


def _note_kernels(config: pytest.Config, used: Mapping[str, Iterable[str]]) -> None:
    noted = config.stash.setdefault(KERNELS, {})
    for op, implementations in used.items():
        noted.setdefault(op, set()).update(implementations)


def pytest_sessionfinish(session: pytest.Session) -> None:
    ops = sys.modules.get("evalharness.stack.kernels.op")
    used = ops.used() if ops else {}
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kernels"] = used
    else:
        _note_kernels(session.config, used)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _note_kernels(node.config, getattr(node, "workeroutput", {}).get("kernels", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    noted = config.stash.get(KERNELS, {})
    if noted:
        triton = "triton (interpreted)" if os.environ.get("TRITON_INTERPRET") == "1" else "triton"
        terminalreporter.section("implementations that computed, by op")
    for op, names in sorted(noted.items()):
        terminalreporter.line(f"{op}: {', '.join(sorted(names)).replace('triton', triton)}")
