"""Candidate and tests in one process, for tests that handle objects of the candidate's own classes.

What the tests find can be forged here by a candidate that sets out to: the nonce is sent only after it was loaded, so
it cannot answer before its tests run, but it may have changed what they stand on. The record says ``in_box``.
"""

from __future__ import annotations

import sys

from evalharness.sandbox.inside.candidate import said_of
from evalharness.sandbox.inside.channel import Channel
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.tester import outcome_of

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any


def main(job: dict[str, Any]) -> None:
    """Load the candidate, then set up and run its tests where it is."""
    channel = Channel(job["longest"])
    confine(job)
    receive, send, outcome, compiled = channel.receive, channel.send, outcome_of, compile
    module = type(sys)("candidate")
    sys.modules["candidate"] = module
    try:
        exec(compiled(job["source"], "<candidate>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        told = said_of(error)
        status = "memory" if "MemoryError" in told["kinds"] else "error"
        send(loaded=False, status=status, why=f"{told['name']}: {told['words'][:500]}")
        return
    send(loaded=True)
    tests = receive()

    def run() -> None:
        for part in ("setup", "tests"):
            exec(compiled(tests[part], f"<{part}>", "exec", dont_inherit=True), module.__dict__)

    verdict, why = outcome(run, tests["tests"])
    send(nonce=tests["nonce"], verdict=verdict, why=why)
