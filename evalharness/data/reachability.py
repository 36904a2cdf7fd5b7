"""Whether the hub answers, found out in seconds: `datasets` alone retries for 23 s before it says no."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from threading import Thread

DEFAULT_ENDPOINT = "https://huggingface.co"
_REMEMBERED_SECONDS = 60


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else the public one."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def offline_by_choice() -> str | None:
    """The environment variable that forbids the hub, if one is set."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")), None)


def why_unreachable(timeout: float) -> str | None:
    """None where the hub answers within `timeout` seconds, else a clause that says why not.

    Proxies of the environment (HTTPS_PROXY, NO_PROXY, ...) are honoured. An answer is remembered for a minute,
    since a task of 57 subsets asks 114 times.
    """
    return _checked(endpoint(), timeout, int(time.monotonic()) // _REMEMBERED_SECONDS)


@lru_cache(maxsize=8)
def _checked(address: str, timeout: float, minute: int) -> str | None:
    outcome: list[str | None] = []
    # A thread, because a socket's time limit covers neither the name's look-up nor an answer that trickles in.
    asker = Thread(target=lambda: outcome.append(_ask(address, timeout)), daemon=True)
    asker.start()
    asker.join(timeout)
    return outcome[0] if outcome else f"no answer within {timeout:g} s"


def _ask(address: str, timeout: float) -> str | None:
    import urllib.error
    import urllib.request  # brings http, email and ssl: 30 ms that a run on a mirror does not need

    try:
        # An opener of our own: the one behind `urlopen` keeps the proxies of the first call in the process.
        opener = urllib.request.build_opener()
        opener.open(urllib.request.Request(address, method="HEAD"), timeout=timeout).close()
    except urllib.error.HTTPError as error:
        # Any status of the hub itself is an answer; 407 and 5xx are what a proxy says in its place.
        return f"HTTP status {error.code}" if error.code == 407 or error.code >= 500 else None
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:  # a connection cut within the answer; an address that is no URL
        return str(error)
    return None
