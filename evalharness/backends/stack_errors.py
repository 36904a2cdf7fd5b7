"""What goes wrong in the stack, in the harness's classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evalharness.errors import DataError, DiskError, ServiceError
from evalharness.stack.errors import DiskRefusedError, StackError


@contextmanager
def stack_errors(extras: str = "stack") -> Iterator[None]:
    """The stack's errors, and packages that it lacks, as errors of the harness.

    Args:
        extras: what installs the packages.

    Raises:
        DataError, DiskError, ServiceError: in place of the stack's own.
    """
    try:
        yield
    except DiskRefusedError as error:
        raise DiskError(str(error)) from None
    except StackError as error:
        raise DataError(str(error)) from None
    except ModuleNotFoundError as error:
        raise ServiceError(
            f"the stack needs the package '{error.name}', which is not installed: pip install 'evalharness[{extras}]'"
        ) from None
