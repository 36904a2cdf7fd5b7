"""A checkpoint's evaluation in a process of its own: it may crash or run out of memory, and the training goes on.

The process is handed its runs as one line on its standard input, which stays open: once that ends, because the training
was killed, it ends too. Run as ``python -m evalharness.run.evaluation_process``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile

from evalharness.run.options import RunOptions
from evalharness.run.training_evaluation import evaluate

_PARENT_GONE = 75
"""EX_TEMPFAIL: the same evaluation can be gone on with."""


def evaluate_elsewhere(requests: Mapping[str, RunOptions]) -> dict[str, str]:
    """As `training_evaluation.evaluate`; a process that ends badly is what went wrong with every task."""
    line = json.dumps({label: options.model_dump(mode="json") for label, options in requests.items()})
    with TemporaryFile() as answer, TemporaryFile() as said:
        # In a session of its own, so that Ctrl-C asks the training to end after this and does not hit the evaluation.
        # Its output goes to files: a pipe would stay open as long as anything that it started.
        with subprocess.Popen(
            [sys.executable, "-m", __name__],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=said,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            try:
                with suppress(BrokenPipeError):  # it ended before it had read
                    process.stdin.write(line.encode() + b"\n")
                code = process.wait()
            finally:
                process.kill()
        answer.seek(0)
        said.seek(0)
        failed, complaint = answer.read(), said.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        told: dict[str, str] = json.loads(failed)
        return told
    why = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    last = f": {complaint[-1]}" if complaint else ""
    return dict.fromkeys(requests, f"its process ended with {why}{last}")


def _main() -> None:
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not the answer
    requests = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    failed = evaluate({label: RunOptions.model_validate(options) for label, options in requests.items()})
    json.dump(failed, answer)
    answer.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(_PARENT_GONE)


if __name__ == "__main__":
    _main()
