"""How log-probabilities are written, and that a client can tell the likeliest token by them."""

from __future__ import annotations

import math

import pytest
from tokenizers_for_tests import BOS, text_tokenizer

from evalharness.serving.logprobs import OTHERS, Speller, completion_tokens, of_chat, of_completions, prompt_tokens
from evalharness.types import Completion, Likelihood

TOKENIZER = text_tokenizer()
SPELLER = Speller(TOKENIZER)


@pytest.mark.parametrize("value", [math.log(0.5), -0.9, -30.0, -math.inf])
def test_the_maximum_tells_whether_a_token_was_the_likeliest(value: float) -> None:
    ids = TOKENIZER.encode("The answer is")[:3]
    tokens = prompt_tokens(SPELLER, ids, "", Likelihood((value, value), (True, False)))
    shown = of_completions(tokens, 1)
    first, greedy, other = shown["top_logprobs"]
    assert first is None
    assert shown["token_logprobs"][0] is None
    assert max(greedy.values()) == shown["token_logprobs"][1]
    assert max(other.values()) == other[OTHERS] > shown["token_logprobs"][2]
    assert other[OTHERS] == pytest.approx(math.log1p(-math.exp(value)))


def test_offsets_are_places_in_the_text() -> None:
    text = f"Zoë läuft {BOS}5 km — “so”"
    ids = TOKENIZER.encode(text)
    tokens = prompt_tokens(SPELLER, ids, text, Likelihood((-1.0,) * (len(ids) - 1), (True,) * (len(ids) - 1)))
    assert BOS in [token.text for token in tokens]
    assert "".join(token.text for token in tokens) == text
    for token in tokens:
        assert text.startswith(token.text, token.offset)


def test_a_bos_that_no_client_wrote_has_no_width() -> None:
    ids = [TOKENIZER.bos_id or 0, *TOKENIZER.encode("The")]
    tokens = prompt_tokens(SPELLER, ids, "The", Likelihood((-1.0,) * (len(ids) - 1), (True,) * (len(ids) - 1)))
    assert [tokens[0].text, tokens[0].offset, tokens[1].offset] == [BOS, 0, 0]


def test_a_drawn_token_is_among_the_likeliest_shown() -> None:
    the, answer = TOKENIZER.encode("T")[0], TOKENIZER.encode("A")[0]
    completion = Completion(text="T", ids=(the,), log_probabilities=(-3.0,), likeliest=(((answer, -0.1), (the, -3.0)),))
    (token,) = completion_tokens(SPELLER, completion, 1, 5)
    assert (token.offset, token.likeliest) == (5, (("A", -0.1), ("T", -3.0)))
    assert of_completions([token], 1)["top_logprobs"] == [{"A": -0.1, "T": -3.0}]
    assert of_completions([token], 0)["top_logprobs"] is None
    (entry,) = of_chat([token], 1)["content"]
    assert entry == {
        "token": "T",
        "logprob": -3.0,
        "bytes": [84],
        "top_logprobs": [{"token": "A", "logprob": -0.1, "bytes": [65]}],
    }


def test_half_a_character_has_no_bytes() -> None:
    half = TOKENIZER.encode("€")[0]
    completion = Completion(text="", ids=(half,), log_probabilities=(-1.0,))
    (entry,) = of_chat(completion_tokens(SPELLER, completion, 0, 0), 0)["content"]
    assert entry["bytes"] is None
