"""How many requests a second the driver hands out and takes back, with workers that answer at once.

No run answers more samples a second than this, however many workers there are: the driver is one process. Prompts are
token ids, a text of some tokens comes back. Prints one JSON line.

    python benchmarks/executors/driver.py [--requests 20000] [--tokens 1000] [--answer 200] [--workers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

COMPONENTS = '''\
"""A backend that answers at once."""

from evalharness.types import BackendInfo, Completion, Completions


class Echo:
    tokenizer = None
    info = BackendInfo(name="echo", kind="echo", accepts=frozenset({"ids"}), fingerprint="echo")

    def __init__(self, tokens):
        self.said = Completion(text="word " * tokens, ids=(7,) * tokens, finish_reason="eos")

    def answer(self, wave):
        waiting = list(wave)
        while waiting:
            for ticket in waiting:
                ticket.resolve(Completions((self.said,)))
            waiting = wave.joined()

    def close(self): ...


COMPONENTS = {"backend": {"echo": lambda spec: Echo(int(spec))}}
'''


async def asked(count: int, tokens: int, answer: int, workers: int, folder: Path) -> float:
    """Seconds from the first request to the last answer."""
    from evalharness import registry
    from evalharness.backends.batching import Waves
    from evalharness.run.models import load_backend
    from evalharness.run.options import RunOptions
    from evalharness.types import GenerateRequest, Origin, Prompt, Sampling

    (folder / "components.py").write_text(COMPONENTS)
    registry.trust(folder)
    options = RunOptions(task=("none",), executor="process", workers=workers, include=(folder,), trust_code=True)
    backend = load_backend(f"echo:{answer}", options)
    backend.warm()  # type: ignore[attr-defined]
    shared, sampling = tuple(range(tokens - 50)), Sampling(max_tokens=answer)

    def request(number: int) -> GenerateRequest:
        prompt = Prompt(messages=(), text="", ids=(*shared, *(number + step for step in range(50))))
        return GenerateRequest(
            origin=Origin(task="t", sample_id=str(number), index=number), prompt=prompt, sampling=sampling
        )

    places = asyncio.Semaphore(4096)  # as many as a run admits

    async def one(waves: Waves, number: int) -> None:
        async with places:
            await waves.ask(request(number))

    async with Waves(backend) as waves:
        began = time.perf_counter()
        await asyncio.gather(*(one(waves, number) for number in range(count)))
        taken = time.perf_counter() - began
    await asyncio.to_thread(backend.close)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--answer", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds = asyncio.run(asked(options.requests, options.tokens, options.answer, options.workers, Path(name)))
    told = {**vars(options), "seconds": round(seconds, 2), "requests_a_second": round(options.requests / seconds)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
