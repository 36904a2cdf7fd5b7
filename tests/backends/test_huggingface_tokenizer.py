"""Tokenizers of transformers behind the harness's protocol."""

from __future__ import annotations

import pytest
from tokenizers_for_tests import BOS, EOS, text_tokenizer, transformers_tokenizer

from evalharness.backends.huggingface_tokenizer import PythonTokenizer, appends_eos, load_tokenizer, wrap
from evalharness.errors import DataError, ServiceError, UsageError
from evalharness.types import Tokenizer

TEXT = "Zoë sells 36 rolls.</s> The answer is B  and  42"


@pytest.mark.parametrize("add_bos", [False, True])
def test_a_fast_tokenizer_does_what_ours_does(add_bos):
    wrapped, ours = wrap(transformers_tokenizer(add_bos=add_bos)), text_tokenizer(add_bos=add_bos)
    assert isinstance(wrapped, Tokenizer)
    assert wrapped.encode(TEXT) == ours.encode(TEXT)
    assert wrapped.decode(wrapped.encode(TEXT)) == ours.decode(ours.encode(TEXT))
    assert (wrapped.bos_id, wrapped.eos_id, wrapped.add_bos) == (ours.bos_id, ours.eos_id, add_bos)
    assert wrapped.special_tokens["bos_token"] == BOS
    assert wrapped.special_tokens["eos_token"] == EOS


def test_the_fingerprint_is_that_of_the_tokenizer():
    assert wrap(transformers_tokenizer()).fingerprint == wrap(transformers_tokenizer()).fingerprint
    assert wrap(transformers_tokenizer(add_bos=True)).fingerprint != wrap(transformers_tokenizer()).fingerprint


def test_what_the_owner_sets_changes_nothing():
    owned = transformers_tokenizer()
    wrapped = wrap(owned)
    ids = wrapped.encode(TEXT)
    owned.pad_token = EOS
    owned([TEXT, "a"], padding=True, truncation=True, max_length=4)
    assert wrapped.encode(TEXT) == ids
    assert wrap(owned).encode(TEXT) == ids
    assert wrap(owned).fingerprint == wrapped.fingerprint


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        (None, None),
        ("{{ messages }}", "{{ messages }}"),
        ({"default": "one", "tools": "two"}, "one"),
        ({"a": "b"}, None),
    ],
)
def test_of_several_chat_templates_it_is_the_default(template, kept):
    tokenizer = transformers_tokenizer()
    tokenizer.chat_template = template
    assert wrap(tokenizer).chat_template == kept


def test_a_tokenizer_written_in_python():
    from transformers import ByT5Tokenizer

    wrapped = wrap(ByT5Tokenizer())
    assert isinstance(wrapped, PythonTokenizer)
    assert isinstance(wrapped, Tokenizer)
    ids = wrapped.encode("Zoë</s>x")
    assert ids == [*(byte + 3 for byte in "Zoë".encode()), 1, ord("x") + 3]
    assert wrapped.decode(ids) == "Zoëx"
    assert (wrapped.bos_id, wrapped.eos_id, wrapped.add_bos) == (None, 1, False)
    assert wrapped.fingerprint == wrap(ByT5Tokenizer()).fingerprint
    assert wrapped.fingerprint != wrap(ByT5Tokenizer(extra_ids=1)).fingerprint


def test_who_ends_a_text():
    from transformers import ByT5Tokenizer

    assert appends_eos(ByT5Tokenizer())
    assert not appends_eos(transformers_tokenizer(add_bos=True))


def test_a_folder_without_a_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(DataError, match="the tokenizer of hf:here cannot be read"):
        load_tokenizer(str(tmp_path), revision=None, trust_remote_code=False, place="the tokenizer of hf:here")


def test_a_name_that_only_the_hub_would_know():
    with pytest.raises((ServiceError, UsageError), match="--tokenizer nobody/nothing: no such folder"):
        load_tokenizer("nobody/nothing", revision=None, trust_remote_code=False, place="--tokenizer nobody/nothing")
