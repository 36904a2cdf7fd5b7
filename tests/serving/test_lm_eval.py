"""lm-eval's `local-completions` reads from the server what our own backend scores."""

from __future__ import annotations

from typing import Any

import pytest
from serving.asking import generated, scored
from serving.servers import Served

from evalharness.backends.stack import StackBackend

pytest.importorskip("lm_eval")
pytest.importorskip("tenacity")

PAIRS = [
    ("Question: How many rolls does the baker sell in 3 hours?\nAnswer:", " She sells 36 rolls."),
    ("The answer is", " B"),
    ("The answer is", " 42. the answer is B. A. one"),
    ("Zoë läuft 5 km", " — “so” weit"),
    ("A.", " one"),
]


@pytest.fixture(scope="module", params=[1, 4], ids=["one by one", "four at once"])
def peer(served: Served, request: pytest.FixtureRequest) -> Any:
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    return LocalCompletionsAPI(
        model="tiny", base_url=f"{served.address}/completions", num_concurrent=request.param, max_length=256
    )


def greedy_pair(backend: StackBackend) -> tuple[str, str]:
    """A text and what the model itself says after it, whose tokens together are those of each."""
    encode, decode = backend.tokenizer.encode, backend.tokenizer.decode
    for context, _ in PAIRS:
        (id,) = generated(backend, encode(context), max_tokens=1).ids
        if encode(context + decode([id])) == [*encode(context), id]:
            return context, decode([id])
    raise AssertionError("no text of these is one that the model continues with a token that a text can spell")


def test_log_likelihoods_are_ours(peer: Any, reference: StackBackend) -> None:
    from lm_eval.api.instance import Instance

    # The tokenizer that lm-eval finds by itself is the server's.
    assert type(peer.tokenizer).__name__ == "RemoteTokenizer"
    pairs = [*PAIRS, greedy_pair(reference)]
    own = scored(reference, [peer._encode_pair(*pair) for pair in pairs])
    asked = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    found = peer.loglikelihood(asked, disable_tqdm=True)
    assert [total for total, _ in found] == pytest.approx([likelihood.total for likelihood in own], abs=1e-3)
    assert [greedy for _, greedy in found] == [likelihood.is_greedy for likelihood in own]
    assert {greedy for _, greedy in found} == {True, False}


def test_texts_are_ours(peer: Any, served: Served) -> None:
    from lm_eval.api.instance import Instance

    asked = Instance("generate_until", {}, ("The answer is", {"until": ["\n\n"], "max_gen_toks": 12}), 0)
    (found,) = peer.generate_until([asked], disable_tqdm=True)
    whole = served.client().completions.create(
        model="tiny", prompt="The answer is", max_tokens=12, temperature=0, stop=["\n\n"]
    )
    assert found == whole.choices[0].text
