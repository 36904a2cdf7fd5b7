"""How Gorilla and the survey ask for a call of an API."""

from __future__ import annotations

import hashlib

import pytest

from evalharness.prompting.api_filters import Library, Words, apibench_question, apibench_request

CODE = "###Instruction: Which birds sing\nat \"night\"?\n\n###Output: {'domain': 'Audio'}"


@pytest.mark.parametrize(
    ("code", "question"),
    [
        (CODE, 'Which birds sing\nat "night"?'),
        ("### Instruction: Which?\n### Output: x", "Which?"),
        ("###Instruction: Which?\n###Output\n<<<domain>>>: x", "Which?"),
        ("###Instruction: Which?\n<<<domain>>>: x", "Which?"),
        ("Which?", "Which?"),
    ],
)
def test_the_question_in_a_row(code: str, question: str) -> None:
    assert apibench_question(code) == question


def test_the_question_as_published() -> None:
    assert apibench_request(CODE, "torchhub").startswith(
        'Which birds sing\nat "night"?\nWrite a python program in 1 to 2'
    )
    published = apibench_request(CODE, "torchhub", "gorilla")
    assert published.startswith(' Which birds sing\\nat \\"night\\"?\\n\nWrite a python program in 1 to 2 lines')
    assert "<<<domain>>> $DOMAIN, <<<api_call>>>: $API_CALL" in published
    assert "<<<DOMAIN>>>: $DOMAIN, <<<API_CALL>>>: $API_CALL" in apibench_request(CODE, "torchhub", "survey")


@pytest.mark.parametrize(
    ("library", "words", "digest"),
    [
        ("torchhub", "gorilla", "a96a2ba290c8941f4b7a809b03ffa8295fc1f50bd0ce56aada01949464760a50"),
        ("tensorflow", "gorilla", "6f22fabb5de31a1f0eeb14eefd8afb9a2178c3ba41dcc82ee5a8b262c5cd2c10"),
        ("huggingface", "gorilla", "1db0f6d592265726fb64ccb216e0c5c4b60f92b2c6273aa624cf6f579a2dca7c"),
        ("torchhub", "survey", "bae5468991399699067d2984a99bd193f9ecfef5bd2d001c3ea889ad4c3aa988"),
        ("tensorflow", "survey", "4c3248f11d74461f1f9705e4c7addce209b0503fd7773520369087b495d86765"),
        ("huggingface", "survey", "2fb7a92a996b8c01d97234b2c376e375aac4a84e52a4e648d34ba4a23f6b7190"),
    ],
)
def test_the_words_are_those_of_the_scripts(library: Library, words: Words, digest: str) -> None:
    """Hashes of what the published scripts themselves make of this question."""
    assert hashlib.sha256(apibench_request(CODE, library, words).encode()).hexdigest() == digest
