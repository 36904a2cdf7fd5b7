"""Tiny models of several families with random weights, written as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers_for_tests import EOS, transformers_tokenizer

LENGTH = 64
"""Most tokens that they take, where positions are limited at all."""


def tokenizer(*, end: bool = False) -> Any:
    """Bytes and a few merges; with `end` an EOS is put behind a text, as for encoders."""
    from tokenizers import processors

    made = transformers_tokenizer()
    if end:
        made.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {EOS}", special_tokens=[(EOS, made.eos_token_id)]
        )
    return made


def model(family: str, length: int = LENGTH) -> Any:
    """A model with weights large enough for its answers to depend on every token."""
    import torch
    import transformers

    vocabulary = tokenizer()
    size, eos = len(vocabulary), vocabulary.eos_token_id
    sizes = {"vocab_size": size, "eos_token_id": eos, "bos_token_id": vocabulary.bos_token_id, "pad_token_id": None}
    torch.manual_seed(0)
    if family == "llama":
        config = transformers.LlamaConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=length, initializer_range=0.12, **sizes,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()
    if family == "gpt2":
        config = transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=2, n_positions=length, initializer_range=0.3, **sizes
        )
        return transformers.GPT2LMHeadModel(config).eval()
    if family == "bloom":
        config = transformers.BloomConfig(hidden_size=32, n_layer=2, n_head=2, initializer_range=0.3, **sizes)
        return transformers.BloomForCausalLM(config).eval()
    if family == "mamba":
        config = transformers.MambaConfig(hidden_size=32, num_hidden_layers=2, initializer_range=0.3, **sizes)
        return transformers.MambaForCausalLM(config).eval()
    if family == "bart-decoder":
        # Learned positions that are counted from the left, whatever is masked.
        config = transformers.BartConfig(
            d_model=32, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=48, init_std=0.3,
            max_position_embeddings=length, is_encoder_decoder=False, is_decoder=True, forced_eos_token_id=None,
            **sizes | {"pad_token_id": 1},
        )  # fmt: skip
        return transformers.BartForCausalLM(config).eval()
    if family == "t5":
        config = transformers.T5Config(
            d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2, decoder_start_token_id=0, initializer_factor=1.0,
            **sizes | {"pad_token_id": 0},
        )  # fmt: skip
        return transformers.T5ForConditionalGeneration(config).eval()
    if family == "bart":
        config = transformers.BartConfig(
            d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=48, decoder_ffn_dim=48, init_std=0.3, max_position_embeddings=length,
            decoder_start_token_id=eos, forced_eos_token_id=None, **sizes | {"pad_token_id": 1},
        )  # fmt: skip
        return transformers.BartForConditionalGeneration(config).eval()
    raise ValueError(family)


ENCODER_DECODERS = ("t5", "bart")


def write(family: str, folder: Path, length: int = LENGTH) -> Path:
    """The model's folder."""
    model(family, length).save_pretrained(folder)
    tokenizer(end=family in ENCODER_DECODERS).save_pretrained(folder)
    return folder
