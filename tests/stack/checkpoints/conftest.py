"""Tiny GGUF files made by the format's own writer, and llama.cpp's tokenizer."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

Arrays = Mapping[str, np.ndarray]


def write_gguf(
    path: Path, family: str, sizes: Mapping[str, float | str], tokenizer: Mapping[str, object], tensors: Arrays
):
    """A model file: `sizes` below the family's name, `tokenizer` below ``tokenizer.``."""
    writer = gguf.GGUFWriter(path, family)
    for key, value in sizes.items():
        add = {float: writer.add_float32, int: writer.add_uint32, str: writer.add_string}
        add[type(value)](f"{family}.{key}", value)
    for key, value in tokenizer.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string, list: writer.add_array}
        add[type(value)](f"tokenizer.{key}", value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def carrier(path: Path, tokenizer: Mapping[str, object]) -> Path:
    """A model of one small layer around a tokenizer, because llama.cpp's server wants a model."""
    random = np.random.default_rng(0)
    vocab = len(tokenizer["ggml.tokens"])
    shapes = {"token_embd": (vocab, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    shapes |= {"blk.0.attn_q": (32, 32), "blk.0.attn_k": (16, 32), "blk.0.attn_v": (16, 32)}
    shapes |= {f"blk.0.{name}": (32, 32) for name in ("attn_output", "ffn_gate", "ffn_up", "ffn_down")}
    sizes = {
        "context_length": 64,
        "embedding_length": 32,
        "block_count": 1,
        "feed_forward_length": 32,
        "attention.head_count": 2,
        "attention.head_count_kv": 1,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": 16,
        "vocab_size": vocab,
    }
    tensors = {f"{name}.weight": random.normal(size=shape) * 0.1 for name, shape in shapes.items()}
    write_gguf(path, "llama", sizes, tokenizer, tensors)
    return path


class LlamaCpp:
    """llama.cpp's ids, through the server that xllamacpp runs in this process."""

    def __init__(self, path: Path) -> None:
        xllamacpp = pytest.importorskip("xllamacpp")
        options = xllamacpp.CommonParams()
        options.model.path = str(path)
        options.cpuparams.n_threads = 1
        options.n_gpu_layers = 0
        options.n_ctx = 64
        options.warmup = False
        self.server = xllamacpp.Server(options)

    def encode(self, text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(
            f"{self.server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["tokens"]


@pytest.fixture(scope="session")
def llama_cpp():
    return LlamaCpp


@pytest.fixture(scope="session")
def make_carrier():
    return carrier


@pytest.fixture(scope="session")
def make_gguf():
    return write_gguf
