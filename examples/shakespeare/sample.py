"""What a checkpoint writes: one text, drawn token by token by the engine."""

from __future__ import annotations

import argparse
from pathlib import Path


def drawn(checkpoint: Path, prompt: str, *, tokens: int = 10_000, temperature: float = 0.8, seed: int = 0) -> str:
    """A text that continues the prompt, of so many tokens or up to the model's context."""
    from evalharness.stack.checkpoints.load import load_model, load_tokenizer
    from evalharness.stack.engine.engine import Engine
    from evalharness.stack.engine.requests import GenerateJob, Sampling, answers

    tokenizer, (model, config) = load_tokenizer(checkpoint), load_model(checkpoint)
    job = GenerateJob(
        ids=tuple(tokenizer.encode(prompt)),
        max_tokens=tokens,
        sampling=Sampling(temperature=temperature, seed=seed),
        eos_ids=frozenset(config.eos_ids),
    )
    [[text]] = answers(Engine(model, tokenizer.decode), [job])
    return text.text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--prompt", default="\n")
    parser.add_argument("--tokens", type=int, default=10_000, help="At most; the model's context is a limit as well.")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = vars(parser.parse_args())
    print(arguments["prompt"] + drawn(**arguments))
