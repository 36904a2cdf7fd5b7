"""How a run is asked to end from outside: by `kill -TERM`, as by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib

NAME = "evalharness run"
"""Of the asyncio task that a cell runs in."""


def interrupt() -> None:
    """End what this thread is doing, called from a handler of a signal.

    A running cell is cancelled by its event loop, so that it ends between two steps and leaves whole lines;
    Python's own way, an exception at whatever line is being executed, can hit the loop itself.

    Raises:
        KeyboardInterrupt: no cell is running.
    """
    with contextlib.suppress(RuntimeError):  # no loop is running
        loop = asyncio.get_running_loop()
        for task in asyncio.all_tasks(loop):
            if task.get_name() == NAME:
                loop.call_soon_threadsafe(task.cancel)
                return
    raise KeyboardInterrupt
