"""What the server costs: eight streams through `evalharness serve`, beside the same requests handed to the engine.

    python benchmarks/serving/streams.py [--pairs 5] [--clients 8] [--tokens 128]

Both sides answer the same greedy requests (prompts written here, in token ids, others in each round) with the embedded
SmolLM2 and the same threads: the server, in a process of its own, to clients of this process that read its events over
loopback; the engine, in this process, through `Waves` as the server uses it. The two take turns after one warm-up each.
The texts must be the same, token by token. Prints one JSON line: seconds to the first token (of the median and of the
slowest request) and tokens a second of all streams together, medians over the rounds, and the ratios server / engine.
The engine is handed all requests in one wave; they reach the server one after another, so that the first of them need
not wait for the last. Refuses to start on a loaded machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.backends import stack
from evalharness.backends.batching import Waves
from evalharness.types import Completions, GenerateRequest, Origin, Prompt, Sampling

LOAD = 0.6
"""Load average above which nothing is measured."""
THINGS = ("loaves", "tickets", "pencils", "bricks", "apples", "stamps", "bottles", "chairs")


@dataclass(frozen=True)
class Stream:
    """One answered request."""

    ids: tuple[int, ...]
    first: float
    """Seconds to its first token."""


@dataclass(frozen=True)
class Round:
    """All requests, asked at once."""

    streams: list[Stream]
    seconds: float

    @property
    def first(self) -> float:
        return statistics.median(stream.first for stream in self.streams)

    @property
    def slowest(self) -> float:
        return max(stream.first for stream in self.streams)

    @property
    def rate(self) -> float:
        return sum(len(stream.ids) for stream in self.streams) / self.seconds


def prompt(number: int) -> str:
    return (
        f"Write a story about a shop that sells {3 + number} {THINGS[number % len(THINGS)]} in the morning and "
        f"{2 * number + 5} in the afternoon. The story begins:"
    )


async def through_engine(waves: Waves, prompts: Sequence[Sequence[int]], tokens: int) -> Round:
    began = time.perf_counter()

    async def one(place: int) -> Stream:
        firsts: list[float] = []

        def told(number: int, ids: Sequence[int]) -> None:
            if not firsts:
                firsts.append(time.perf_counter() - began)

        answer = await waves.ask(
            GenerateRequest(
                origin=Origin(task="streams", sample_id=f"{began}/{place}", index=place),
                prompt=Prompt(messages=(), text="", ids=tuple(prompts[place])),
                sampling=Sampling(max_tokens=tokens),
                on_tokens=told,
            )
        )
        assert isinstance(answer, Completions)
        return Stream(answer.completions[0].ids, firsts[0])

    streams = await asyncio.gather(*map(one, range(len(prompts))))
    return Round(streams, time.perf_counter() - began)


async def through_server(port: int, prompts: Sequence[Sequence[int]], tokens: int) -> Round:
    began = time.perf_counter()

    async def one(ids: Sequence[int]) -> Stream:
        body = json.dumps(
            {"prompt": list(ids), "max_tokens": tokens, "temperature": 0, "stream": True, "return_token_ids": True}
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        first, said = 0.0, list[int]()
        while not (line := await reader.readline()).startswith(b"data: [DONE]"):
            if line.startswith(b"data: "):
                first = first or time.perf_counter() - began
                said += json.loads(line[6:])["choices"][0]["token_ids"]
            elif not line:
                raise SystemExit("the server closed the connection before its answer was whole.")
        writer.close()
        return Stream(tuple(said), first)

    streams = await asyncio.gather(*map(one, prompts))
    return Round(streams, time.perf_counter() - began)


async def measured(port: int, pairs: int, clients: int, tokens: int) -> dict[str, list[Round]]:
    backend = stack.load("smollm2")
    backend.warm()
    rounds: dict[str, list[Round]] = {"server": [], "engine": []}
    async with Waves(backend) as waves:
        waves.more = True  # as in the server
        for number in range(pairs + 1):
            prompts = [backend.tokenizer.encode(prompt(number * clients + client)) for client in range(clients)]
            served = await through_server(port, prompts, tokens)
            direct = await through_engine(waves, prompts, tokens)
            if [stream.ids for stream in served.streams] != [stream.ids for stream in direct.streams]:
                raise SystemExit("the server said something else than the engine.")
            if number:  # the first is the warm-up
                rounds["server"].append(served)
                rounds["engine"].append(direct)
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if load > LOAD:
        raise SystemExit(f"the machine is loaded ({load:.1f}): wait until nothing else runs.")
    command = [sys.executable, "-m", "evalharness", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())
            if found is None:
                raise SystemExit("the server did not start.")
            rounds = asyncio.run(measured(int(found[1]), options.pairs, options.clients, options.tokens))
        finally:
            server.terminate()
    firsts = {side: statistics.median(each.first for each in found) for side, found in rounds.items()}
    slowest = {side: statistics.median(each.slowest for each in found) for side, found in rounds.items()}
    rates = {side: statistics.median(each.rate for each in found) for side, found in rounds.items()}
    print(
        json.dumps(
            {
                "clients": options.clients,
                "tokens": sum(len(stream.ids) for stream in rounds["engine"][0].streams),
                "rounds": options.pairs,
                "load": round(load, 2),
                "first_token_seconds": {side: round(value, 4) for side, value in firsts.items()},
                "first_token_ratio": round(firsts["server"] / firsts["engine"], 2),
                "slowest_first_token_seconds": {side: round(value, 4) for side, value in slowest.items()},
                "tokens_per_second": {side: round(value, 1) for side, value in rates.items()},
                "spread": {
                    side: [round(min(each.rate for each in found), 1), round(max(each.rate for each in found), 1)]
                    for side, found in rounds.items()
                },
                "ratio": round(rates["server"] / rates["engine"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
