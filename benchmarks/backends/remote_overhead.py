"""What our backend adds to a request beside a bare loop over the official client, in one run.

The server on loopback answers at once. Both sides send the same prompts with the same number under way; the two take
turns. Prints one JSON line: milliseconds a request of both, and their difference. Then the slow server: 300 requests to
one that takes 200 ms and stumbles three times.

    python benchmarks/backends/remote_overhead.py [--requests 1000] [--concurrency 16] [--pairs 3]

Needs `pip install -e '.[dev]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "tests"))


def serve(pipe: Any, latency: float, faults: dict[str, str]) -> None:
    """The tests' server, in a process of its own."""
    from openai_server_for_tests import serving

    with serving() as server:
        server.latency = latency
        server.faults = {part: deque([fault]) for part, fault in faults.items()}
        pipe.send(server.url)
        pipe.recv()


class Serving:
    """A server in another process while this block runs."""

    def __init__(self, latency: float = 0.0, **faults: str) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=serve, args=(theirs, latency, faults), daemon=True)

    def __enter__(self) -> str:
        self._process.start()
        return str(self._ours.recv())

    def __exit__(self, *error: object) -> None:
        self._ours.send(None)
        self._process.join()


async def bare(url: str, count: int, concurrency: int) -> float:
    """Seconds of a plain loop over the official client."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    places = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with places:
            await client.completions.create(model="loop", prompt=f"{number}?", max_tokens=99, temperature=0.0)

    await one(0)
    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    taken = time.perf_counter() - began
    await client.close()
    return taken


async def ours(url: str, count: int, concurrency: int) -> float:
    """Seconds of the same requests through our backend and its waves."""
    from evalharness.backends.batching import Waves
    from evalharness.backends.openai import load
    from evalharness.types import GenerateRequest, Message, Origin, Prompt, Sampling

    backend = load(f"{url}#loop", model_options={"concurrency": concurrency})
    _ = backend.info

    def request(number: int) -> GenerateRequest:
        text = f"{number}?"
        prompt = Prompt(messages=(Message("user", text),), text=text)
        origin = Origin(task="t", sample_id=str(number), index=number)
        return GenerateRequest(origin=origin, prompt=prompt, sampling=Sampling(max_tokens=99))

    async with Waves(backend) as waves:
        await waves.ask(request(0))
        began = time.perf_counter()
        await asyncio.gather(*(waves.ask(request(number)) for number in range(count)))
        taken = time.perf_counter() - began
    await asyncio.to_thread(backend.close)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with Serving() as url:
        pairs = [
            (asyncio.run(bare(url, options.requests, options.concurrency)),
             asyncio.run(ours(url, options.requests, options.concurrency)))
            for _ in range(options.pairs)
        ]  # fmt: skip
    plain, through = (statistics.median(pair[side] for pair in pairs) / options.requests * 1000 for side in (0, 1))
    with Serving(0.2, **{"17?": "429:1", "23?": "500", "41?": "drop"}) as url:
        slow = asyncio.run(ours(url, 300, 64))
    told = {
        "requests": options.requests,
        "concurrency": options.concurrency,
        "bare_milliseconds": round(plain, 3),
        "ours_milliseconds": round(through, 3),
        "added_milliseconds": round(through - plain, 3),
        "slow_server_300_seconds": round(slow, 2),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
