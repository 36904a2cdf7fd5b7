"""Errors that a user reads: one sentence that says what was wrong, where, and what would be right.

Each class carries the exit code of the command line (``docs/errors.md``). Anything else that escapes
is a fault of ours and ends with code 70.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EvalHarnessError(Exception):
    """Base of every error with a sentence for the user."""

    exit_code = 70


class UsageError(EvalHarnessError):
    """The command or call is wrong: an unknown name, an impossible value (EX_USAGE)."""

    exit_code = 64


class DataError(EvalHarnessError):
    """A file is wrong: a malformed definition, a missing column, a truncated checkpoint (EX_DATAERR)."""

    exit_code = 65


class ServiceError(EvalHarnessError):
    """Something needed is not there: a package, a server, a data source (EX_UNAVAILABLE)."""

    exit_code = 69


class DiskError(EvalHarnessError):
    """The disk refused: full, read-only, no permission (EX_IOERR)."""

    exit_code = 74


class FailedSamplesError(EvalHarnessError):
    """Too many samples of a run failed for its score to mean anything."""

    exit_code = 4


class BudgetError(EvalHarnessError):
    """The tokens or the money that a run may spend at a server are spent."""

    exit_code = 5


class NotComparableError(EvalHarnessError):
    """Two runs measured different things: another task version, prompt, demonstrations or content, or no sample."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that names the closest known spelling: ``"did you mean 'gsm8k'?"``, else what is known.

    >>> nearest("gsm8", ["gsm8k", "mmlu"])
    "did you mean 'gsm8k'?"
    """
    names = sorted(set(known))
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known: {shown}." if names else "none is known."
