"""A training that waits for its evaluation: the evaluation computes as it would alone, and the training goes on as if
there had been none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy


@contextmanager
def unchanged() -> Iterator[None]:
    """Without torch's deterministic mode inside; at the end put back all that a computation may change for the others
    in its process: random numbers (Python's, NumPy's, torch's on every device), threads, whether gradients are kept,
    determinism, default types."""
    import torch

    python, of_numpy = random.getstate(), numpy.random.get_state()
    of_torch, of_cuda = torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    # It fills memory that is asked for and not used yet: our engine's, for keys and values, is a quarter of all that is
    # free (measured: 15 GB and 30 s, in place of 0.5 GB and 1 s).
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)
        if of_cuda:
            torch.cuda.set_rng_state_all(of_cuda)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
