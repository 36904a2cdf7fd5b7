"""Runs that never were: their losses follow a law that a test plants, with noise that it draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evalharness.scaling.points import ScalingPoint

PLANTED = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
"""About those of Besiroglu et al. 2024 (arXiv 2404.10102)."""
SIZES = (1e7, 3e7, 1e8, 3e8, 1e9, 3e9)
TOKENS = (3e8, 1e9, 3e9, 1e10, 3e10, 1e11)


def chinchilla_loss(parameters: float, tokens: float) -> float:
    return PLANTED["E"] + PLANTED["A"] / parameters ** PLANTED["alpha"] + PLANTED["B"] / tokens ** PLANTED["beta"]


def run(parameters: float, tokens: float, loss: float, name: str = "") -> ScalingPoint:
    name = name or f"{parameters:.3g}-{tokens:.3g}"
    return ScalingPoint(name=name, parameters=parameters, tokens=tokens, compute=6 * parameters * tokens, loss=loss)


def runs(
    noise: float = 0.0, seed: int = 0, sizes: Sequence[float] = SIZES, tokens: Sequence[float] = TOKENS
) -> list[ScalingPoint]:
    """One for each size and number of tokens; the logarithms of losses have Gaussian noise."""
    generator = np.random.default_rng(seed)
    return [
        run(size, count, chinchilla_loss(size, count) * float(np.exp(generator.normal(0, noise))))
        for size in sizes
        for count in tokens
    ]
