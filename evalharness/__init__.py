"""evalharness measures language models.

The public API is lazy: importing the package loads neither torch nor any other heavy library.

>>> import evalharness
>>> result = evalharness.evaluate(task="gsm8k", model="smollm2", limit=20)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "evaluate": "evalharness.api",
    "load_model": "evalharness.api",
    "load_task": "evalharness.api",
    "read_run": "evalharness.api",
}

__all__ = ["__version__", "evaluate", "load_model", "load_task", "read_run"]

if TYPE_CHECKING:
    from evalharness.api import evaluate, load_model, load_task, read_run


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'evalharness' has no attribute {name!r}")
