"""Candidate and tests in one process, for tests that handle objects of the candidate's own classes.

What the tests find can be forged here by a candidate that sets out to: the nonce is sent only after it was loaded, so
it cannot answer before its tests run, but it may have changed what they stand on. The record says ``in_box``.
"""

from __future__ import annotations

import sys
from typing import Any

from evalharness.sandbox.inside.candidate import said_of
from evalharness.sandbox.inside.channel import Channel
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.tester import outcome_of


def main(job: dict[str, Any]) -> None:
    """Load the candidate, then set up and run its tests where it is."""
    channel = Channel(job["longest"])
    confine(job)
    receive, send, outcome, compiled = channel.receive, channel.send, outcome_of, compile
    module = type(sys)("candidate")
    sys.modules["candidate"] = module
    try:
        exec(compiled(job["source"], "<candidate>", "exec"), module.__dict__)
    except BaseException as error:
        memory = isinstance(error, MemoryError)
        name, words, _ = said_of(error)
        send({"loaded": False, "status": "memory" if memory else "error", "why": f"{name}: {words}"})
        return
    send({"loaded": True})
    told = receive()

    def run() -> None:
        exec(compiled(told["setup"], "<setup>", "exec"), module.__dict__)
        exec(compiled(told["tests"], "<tests>", "exec"), module.__dict__)

    verdict, why = outcome(run, told["tests"])
    send({"nonce": told["nonce"], "verdict": verdict, "why": why})
