"""From what stands behind --model to a backend: which kind, with which options, behind which cache and workers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evalharness import registry
from evalharness.errors import UsageError, nearest
from evalharness.run.options import RunOptions
from evalharness.types import Backend

MODEL_OPTIONS = (
    "dtype",
    "device",
    "max_length",
    "tokenizer",
    "revision",
    "adapter",
    "batch_tokens",
    "threads",
    "numerics",
    "kv_memory",
    "weights",
    "max_tokens_total",
    "max_cost",
)
"""What a backend is loaded with; one that does not know an option refuses it."""
CIRCUMSTANCES = ("chat", "time_limit", "reasoning")
"""What a backend is told where it wants to know."""
LOADED_WITH = (*MODEL_OPTIONS, *CIRCUMSTANCES, "model_options", "cache", "executor", "workers", "ray_address")
"""Options by which two loadings of one model differ."""


def kind_of(spec: str) -> tuple[str, str]:
    """(kind, what): ``smollm2`` and paths are the stack's, ``KIND:WHAT`` says the kind itself.

    Raises:
        UsageError: an unknown kind.
    """
    kind, colon, what = spec.partition(":")
    known = registry.names("backend")
    if not colon or (kind not in known and ("/" in kind or Path(spec).exists())):
        return "stack", spec
    if kind not in known:
        raise UsageError(f"--model {spec}: unknown backend '{kind}'; {nearest(kind, known)}")
    return kind, what


def load_backend(spec: str, options: RunOptions) -> Backend:
    """The backend that a model's name means: ``smollm2``, a path, or ``KIND:WHAT``.

    Raises:
        UsageError: an unknown kind or an option that the backend does not have.
        DataError, ServiceError: the model is damaged or not there.
    """
    kind, what = kind_of(spec)
    loader: Callable[..., Backend] = registry.lookup("backend", kind)
    backend = loader(what, **_arguments(loader, kind, options))
    if options.executor != "local":
        backend = _over_workers(backend, spec, options)
    if options.reasoning is not None:
        from evalharness.backends.reasoning import keeping_apart

        backend = keeping_apart(backend, options.reasoning)
    if options.cache is not None:
        from evalharness.backends.cache import CachedBackend, ResponseStore

        backend = CachedBackend(backend, ResponseStore(options.cache))
    return backend


def _arguments(loader: Callable[..., Backend], kind: str, options: RunOptions) -> dict[str, Any]:
    """The options in the loader's own arguments.

    Raises:
        UsageError: the kind of model does not know one that was given.
    """
    parameters = inspect.signature(loader).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {key: value for key in MODEL_OPTIONS if (value := getattr(options, key)) is not None}
    arguments: dict[str, Any] = {}
    for key in MODEL_OPTIONS:
        if (value := getattr(options, key)) is None:
            continue
        if key not in parameters:
            raise UsageError(
                f"--{key.replace('_', '-')}: models of the kind '{kind}' have no such option; leave it out."
            )
        arguments[key] = value
    arguments |= {key: value for key in CIRCUMSTANCES if key in parameters and (value := getattr(options, key))}
    own = dict(options.model_options)
    if "model_options" in parameters:
        return {**arguments, "model_options": own}
    known = [name for name in parameters if name not in (*MODEL_OPTIONS, *CIRCUMSTANCES, "spec")]
    for name in own:
        if name not in known:
            raise UsageError(
                f"--model-option {name}: models of the kind '{kind}' have none of this name; {nearest(name, known)}"
            )
    return {**arguments, **own}


def load_in_worker(spec: str, options: str) -> Backend:
    """The backend in a process of its own, its weights loaded; `options` is the JSON of a `RunOptions`.

    Raises:
        EvalHarnessError: it cannot be loaded.
    """
    asked = RunOptions.model_validate_json(options)
    if asked.trust_code:
        for folder in asked.include:
            registry.trust(folder)
    backend = load_backend(spec, asked)
    if (warm := getattr(backend, "warm", None)) is not None:
        warm()
    return backend


def _over_workers(backend: Backend, spec: str, options: RunOptions) -> Backend:
    from evalharness.run.executors.pool import Pool
    from evalharness.run.executors.workers import Workers

    alone = options.model_copy(update={"executor": "local", "cache": None, "reasoning": None})

    def pool() -> Pool:
        if options.executor == "ray":
            from evalharness.run.executors.ray import RayPool

            return RayPool(spec, alone, options.workers, options.ray_address)
        from evalharness.run.executors.process import ProcessPool, default_workers

        return ProcessPool(spec, alone, options.workers or default_workers())

    return Workers(backend, pool)
