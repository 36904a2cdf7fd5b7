"""A whole program: what remains of standard input is its input, its standard output and exit status are its own."""

from __future__ import annotations

import sys

from evalharness.sandbox.inside.confine import confine

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any


def main(job: dict[str, Any]) -> None:
    """Run the program as a script would be run."""
    confine(job)
    script = type(sys)("__main__")
    sys.modules["__main__"] = script
    try:
        exec(compile(job["source"], "<program>", "exec", dont_inherit=True), script.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        here = error.__traceback__
        sys.__excepthook__(type(error), error, here.tb_next if here else None)
        sys.exit(1)
