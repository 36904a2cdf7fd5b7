"""The metrics of APIBench: whether the right kind of API is called, and whether any that exists."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import ClassVar, Self

from pydantic import model_validator

from evalharness.answers.base import Parser
from evalharness.answers.function_calls.trees import require_grammar
from evalharness.data.tables import read_table
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.function_calls.apis import Api, Library, Matching, apis, by_calls, by_gorilla, calls
from evalharness.types import Attempt, Parsed, Reference, Score


class _ApiMetric(Metric):
    """What both need: the data base of a sample's reference, and a rule that finds an answer's API in it.

    The target is JSON, ``{"domain": ..., "apis": ...}``: the domain that is asked for, and the data base as the sha256
    of a table of (code, domain), or as that list itself.
    """

    needs: ClassVar[Needs] = "answer"
    explains: ClassVar[bool] = True
    library: Library = "huggingface"
    """Whose APIs they are: Gorilla's rule looks for other arguments in each."""
    matching: Matching = "strict"
    """gorilla: the published rule, arguments as parts of the text. strict: the same name, and every text among the
    arguments; of several such APIs any may be meant."""

    @model_validator(mode="after")
    def _grammar(self) -> Self:
        require_grammar("python", f"the metric {self.metric}")
        return self

    def _found(self, code: str, reference: Reference) -> tuple[str, list[Api]]:
        """The domain that is asked for, and the APIs that the code may call."""
        domain, database = _reference(str(reference.target), self.library)
        if self.matching == "strict":
            return domain, by_calls(code, database)
        first = by_gorilla(code, database)
        return domain, [] if first is None else [first]


class ApiCall(_ApiMetric):
    """AST accuracy of APIBench (Patil et al. 2023, arXiv:2305.15334): 1 where an API of the domain that the question
    asks for is called, else 0."""

    metric: str = "api_call"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return Score(0.0, explanation=answer.why if answer else "no call: there is no answer")
        domain, found = self._found(answer.value, reference)
        if not found:
            return Score(0.0, explanation=_unknown(answer.value))
        if domain in [api.domain for api in found]:
            return Score(1.0)
        return Score(0.0, explanation=f"wrong_domain: {found[0].code!r:.120} is for {found[0].domain}, not {domain}")


class ApiHallucination(_ApiMetric):
    """Hallucination rate of APIBench: 1 where what is called is no API of the data base, else 0.

    A text without a call is none by the strict rule; by Gorilla's it is, unless the parser finds no answer in it.
    """

    higher_is_better: ClassVar[bool] = False
    metric: str = "api_hallucination"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return Score(0.0)
        _, found = self._found(answer.value, reference)
        said = self.matching == "gorilla" or any(calls(answer.value))
        if found or not said:
            return Score(0.0)
        return Score(1.0, explanation=_unknown(answer.value))


def _unknown(code: str) -> str:
    if not any(calls(code)):
        return f"no call: nothing is called in {code!r:.120}"
    return f"unknown_api: no API of the data base is called in {code!r:.120}"


@lru_cache(maxsize=64)
def _reference(target: str, library: Library) -> tuple[str, tuple[Api, ...]]:
    try:
        content = json.loads(target)
        domain, entries = str(content["domain"]), content["apis"]
        listed = read_table(entries) if isinstance(entries, str) else entries
        return domain, apis(tuple((str(code), str(each)) for code, each in listed), library)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"the target {target[:60]!r} does not say what API is right ({type(error).__name__}: {error}); it must be "
            "the JSON of {domain: ..., apis: ...}."
        ) from None
