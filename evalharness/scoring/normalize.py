"""Making texts comparable: what matches ignore when they are told to."""

from __future__ import annotations

import re
import string

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)


def normalize(text: str, *, case: bool = False, punctuation: bool = False, articles: bool = False) -> str:
    """The text without what is to be ignored: lower case, then no ASCII punctuation, then no English articles.

    The order is SQuAD's (Rajpurkar et al. 2016, arXiv:1606.05250). Where punctuation or articles are taken
    out, runs of white space shrink to one space.
    """
    if case:
        text = text.lower()
    if punctuation:
        text = text.translate(_NO_PUNCTUATION)
    if articles:
        text = _ARTICLES.sub(" ", text)
    return " ".join(text.split()) if punctuation or articles else text
