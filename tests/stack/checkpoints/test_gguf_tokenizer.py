"""Tokenizers built from GGUF metadata against llama.cpp's own ids."""

from __future__ import annotations

import random

import pytest

from evalharness.stack.checkpoints.gguf import GGUFFile
from evalharness.stack.checkpoints.gguf_tokenizer import PRE_TOKENIZERS
from evalharness.stack.checkpoints.load import load_tokenizer
from evalharness.stack.errors import CheckpointError

PARTS = [
    *["the", " cat", "don't", "WE'LL", "naïve", " Straße", "Ελλάδα", " Привет", "漢字", "かな", "한국", "ไทย", "हिन्दी"],
    *["0", "12", " 345", "2020", "3.14", "1,000", "½", "٣", "Ⅷ", " 99", "x2", "é", "ﬁ"],
    *[" ", "  ", "   ", "\t", "\n", "\n\n", " \n ", "\r\n", "\u00a0", "\u3000", "\u200b"],
    *["def f(x):\n    return x**2\n", "if (a[i] != b) { c++; }", "<div class='a'>", "# ---", "//", "::", "=>", "_x_"],
    *["🙂", "👩‍🚀", "🇫🇷", "…", "“quoted”", "—", "¿?", "!!!", "$5", "100%", "@me", "http://a.b/c?d=1"],
]


def varied(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(PARTS, k=draw.randint(1, 9))) for _ in range(count)]


@pytest.mark.model
def test_the_embedded_models_ids_are_those_of_llama_cpp(smollm2, llama_cpp):
    ours, theirs = load_tokenizer(smollm2), llama_cpp(smollm2)
    texts = [*varied(200, seed=1), "x  12", "year 2020  99\n\n3"]
    assert [ours.encode(text) for text in texts] == [theirs.encode(text) for text in texts]
    assert ours.encode_batch(texts) == [ours.encode(text) for text in texts]
    assert [ours.decode(ours.encode(text)) for text in texts] == texts


@pytest.mark.model
@pytest.mark.parametrize("pre", ["gpt-2", "starcoder", "llama-bpe", "smaug-bpe", "qwen2", "stablelm2", "tekken"])
def test_pre_tokenizers_by_name_split_as_llama_cpp_does(pre, smollm2, tmp_path, make_carrier, llama_cpp):
    """SmolLM2's merges under other pre-tokenizers: not a model that exists, but every split shows in the ids."""
    values = GGUFFile(smollm2).metadata
    keys = ("ggml.model", "ggml.tokens", "ggml.token_type", "ggml.merges", "ggml.eos_token_id")
    tokenizer = {key: values[f"tokenizer.{key}"] for key in keys} | {"ggml.pre": pre}
    path = make_carrier(tmp_path / "carrier.gguf", tokenizer)
    ours, theirs = load_tokenizer(path), llama_cpp(path)
    for text in varied(60, seed=2):
        assert ours.encode(text) == theirs.encode(text), text


PIECES = ["▁t", "he", "▁the", "in", "▁in", "an", "▁an", "▁and", "re", "er", "▁a", "▁b", "on", "▁▁", "▁▁▁▁", "th", "ing"]
PIECES += ["▁thing", "or", "▁of", *"▁abcdefghijklmnopqrstuvwxyz.,é0123456789"]


def sentencepiece_values(**more) -> dict[str, object]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    return {
        "ggml.model": "llama",
        "ggml.pre": "default",
        "ggml.tokens": tokens,
        "ggml.scores": [0.0] * 259 + [-float(rank) for rank in range(len(PIECES))],
        "ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(PIECES),
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
        "ggml.unknown_token_id": 0,
        **more,
    }


@pytest.mark.parametrize("add_space_prefix", [True, False])
def test_sentencepiece_merges_by_score_as_llama_cpp_does(tmp_path, make_carrier, llama_cpp, add_space_prefix):
    values = sentencepiece_values(**{"ggml.add_space_prefix": add_space_prefix})
    path = make_carrier(tmp_path / "carrier.gguf", values)
    ours, theirs = load_tokenizer(path), llama_cpp(path)
    draw = random.Random(3)
    words = [
        "the",
        "thing",
        "in",
        "and",
        "orre",
        "bananas",
        "of",
        "é",
        "漢",
        "🙂",
        "12",
        " ",
        "  ",
        "     ",
        "\n",
        "\t.",
    ]
    for text in ("".join(draw.choices(words, k=draw.randint(1, 8))) for _ in range(100)):
        assert ours.encode(text) == theirs.encode(text), text
        assert ours.decode(ours.encode(text)) == text


def test_special_tokens_and_the_bos(tmp_path, make_carrier):
    tokenizer = load_tokenizer(make_carrier(tmp_path / "spm.gguf", sentencepiece_values()))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (1, 2, True)
    assert tokenizer.special_tokens == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    assert tokenizer.encode("<s>the</s>")[0::2] == [1, 2]
    assert tokenizer.decode(tokenizer.encode("<s>the</s>")) == "the"
    assert 1 not in tokenizer.encode("the")
    without = sentencepiece_values(**{"ggml.add_bos_token": False})
    assert load_tokenizer(make_carrier(tmp_path / "no_bos.gguf", without)).add_bos is False


def test_a_user_defined_token_is_never_split_and_stays_in_the_text(tmp_path, make_carrier):
    values = sentencepiece_values()
    values["ggml.tokens"] = [*values["ggml.tokens"], "banana"]
    values["ggml.scores"] = [*values["ggml.scores"], -1000.0]
    values["ggml.token_type"] = [*values["ggml.token_type"], 4]
    tokenizer = load_tokenizer(make_carrier(tmp_path / "user.gguf", values))
    ids = tokenizer.encode("banana")
    assert len(values["ggml.tokens"]) - 1 in ids
    assert tokenizer.decode(ids).strip() == "banana"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ggml.model": "bert"}, "a tokenizer of the kind 'bert'; known: gpt2, llama"),
        ({"ggml.model": "gpt2", "ggml.pre": "martian"}, "names the pre-tokenizer 'martian', which is not known"),
        ({"ggml.model": "gpt2"}, r"lacks the metadata key 'tokenizer\.ggml\.merges'"),
    ],
)
def test_what_is_not_known_is_refused_in_a_sentence(tmp_path, make_carrier, change, sentence):
    path = make_carrier(tmp_path / "odd.gguf", sentencepiece_values(**change))
    with pytest.raises(CheckpointError, match=sentence):
        load_tokenizer(path)


def test_every_name_makes_its_pre_tokenizer():
    assert {name: make().pre_tokenize_str("a 12")[0][0] for name, make in PRE_TOKENIZERS.items()} == dict.fromkeys(
        PRE_TOKENIZERS, "a"
    )
