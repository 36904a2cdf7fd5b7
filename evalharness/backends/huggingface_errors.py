"""What the Hugging Face libraries raise, as sentences for a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError

INSTALL = "pip install 'evalharness[transformers]'"
TRUST = "--model-option trust_remote_code=true"


@contextmanager
def library_errors(place: str) -> Iterator[None]:
    """Errors of a library that reads a model, in the harness's classes; `place` says of which model.

    The libraries tell most things apart by their messages alone.

    Raises:
        UsageError: there is no such model or revision, or it brings code that is not trusted.
        ServiceError: the hub cannot be reached or refuses, a package is missing, or memory ran out.
        DataError: what is there cannot be read.
    """
    try:
        yield
    except EvalHarnessError:
        raise
    except ImportError as error:
        raise ServiceError(f"{place}: a package is missing: {first_line(error)}; {INSTALL}") from None
    except MemoryError:
        raise ServiceError(f"{place}: there is not enough memory to load it; take a smaller --dtype.") from None
    except Exception as error:  # a stranger's checkpoint can fail in any way
        raise _sentence(place, error) from None


def first_line(error: BaseException) -> str:
    """What an error says, short: its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(". ") if lines else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch's allocator for processors, and cuBLAS, raise a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    signs = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _sentence(place: str, error: Exception) -> EvalHarnessError:
    told = str(error)
    if is_out_of_memory(error):
        return ServiceError(f"{place}: there is not enough memory to load it ({first_line(error)}).")
    if "trust_remote_code" in told:
        return UsageError(f"{place}: the model brings code of its own; read it, then add {TRUST}.")
    if "not a valid git identifier" in told:
        return UsageError(f"{place}: no such revision; {first_line(error)}.")
    if "gated repo" in told or "401 Client Error" in told or "403 Client Error" in told:
        return ServiceError(f"{place}: the hub asks for permission; accept the terms there, then hf auth login.")
    if "not a valid model identifier" in told or "valid repository name" in told:
        return UsageError(f"{place}: no such folder, and no such model on the hub (or it is private: hf auth login).")
    if "couldn't connect" in told or "connection error" in told or "offline mode" in told.lower():
        return ServiceError(f"{place}: no such folder, and the hub cannot be reached; give a folder, or go online.")
    return DataError(f"{place} cannot be read: {first_line(error)}.")
