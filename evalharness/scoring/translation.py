"""Metrics of translation by sacreBLEU: each sample brings its counts, from which the corpus's score is computed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Literal

from evalharness.answers.base import Parser
from evalharness.errors import DataError, ServiceError
from evalharness.scoring.base import Aggregate, Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score

Tokenize = Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none"]
_OF_LANGUAGE: dict[str, Tokenize] = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
"""What sacreBLEU itself takes for the languages that part no words; for others 13a."""


class _SacreBleu(Metric):
    """A metric of the corpus: a sample's own value is what sacreBLEU gives one sentence, and is in no mean."""

    needs: ClassVar[Needs] = "answer"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        said, targets = (answer.value if answer else None) or "", _targets(self.name, reference)
        scorer = self._scorer(reference)
        # What its own bootstrap (sacrebleu.significance) calls too: the counts of one sentence.
        counts = scorer._extract_corpus_statistics([said], [[target] for target in targets])[0]
        value = scorer._compute_score_from_stats(list(counts)).score
        return Score(float(value), parts=tuple(float(count) for count in counts))

    @abstractmethod
    def _scorer(self, reference: Reference) -> Any:
        """sacreBLEU's object for this sample."""


class Bleu(_SacreBleu):
    """BLEU of the corpus, 0 to 100, by sacreBLEU (Papineni et al. 2002; Post 2018, arXiv:1804.08771).

    Smoothing ``exp``; several targets are several references. Its signature names case, tokenizer and version.
    """

    aggregate: ClassVar[Aggregate] = "corpus_bleu"
    metric: str = "bleu"
    tokenize: Tokenize | Literal["by_language"] = "13a"
    """by_language: by the sample's fact `language`, the code of the target's: zh for Chinese, ja-mecab for Japanese,
    ko-mecab for Korean, 13a for the rest, as sacreBLEU chooses."""
    tokenizers: dict[str, Tokenize] | None = None
    """Of single languages, by that code, where a protocol chooses in its own way; `tokenize` for the others."""
    lowercase: bool = False

    @property
    def signature(self) -> str:
        usual, own = self._chosen
        before, named, after = _signature(_bleu(usual, self.lowercase)).partition(f"tok:{usual}")
        return before + named + "".join(f",{code}:{name}" for code, name in own.items()) + after

    def _scorer(self, reference: Reference) -> Any:
        usual, own = self._chosen
        return _bleu(own.get(str(self.fact(reference, "language")), usual) if own else usual, self.lowercase)

    @property
    def _chosen(self) -> tuple[Tokenize, dict[str, Tokenize]]:
        """The tokenizer, and those of single languages."""
        if self.tokenize == "by_language":
            return "13a", _OF_LANGUAGE | (self.tokenizers or {})
        return self.tokenize, self.tokenizers or {}


class Chrf(_SacreBleu):
    """chrF2 of the corpus, 0 to 100, by sacreBLEU (Popović 2015): n-grams of up to 6 characters, recall twice.

    It needs no tokenizer. With `word_order` 2 it is chrF++ (Popović 2017).
    """

    aggregate: ClassVar[Aggregate] = "corpus_chrf"
    metric: str = "chrf"
    word_order: Literal[0, 1, 2] = 0
    lowercase: bool = False

    @property
    def signature(self) -> str:
        return _signature(_chrf(self.word_order, self.lowercase))

    def _scorer(self, reference: Reference) -> Any:
        return _chrf(self.word_order, self.lowercase)


class Ter(_SacreBleu):
    """Translation edit rate of the corpus by sacreBLEU: edits per hundred reference words (Snover et al. 2006).

    A moved phrase is one edit, and lower is better. Texts that part no words need `normalized` and `asian_support`,
    which part characters.
    """

    aggregate: ClassVar[Aggregate] = "corpus_ter"
    higher_is_better: ClassVar[bool] = False
    metric: str = "ter"
    normalized: bool = False
    no_punctuation: bool = False
    asian_support: bool = False
    case_sensitive: bool = False

    @property
    def signature(self) -> str:
        return _signature(self._scorer(Reference()))

    def _scorer(self, reference: Reference) -> Any:
        return _ter(self.normalized, self.no_punctuation, self.asian_support, self.case_sensitive)


def _targets(metric: str, reference: Reference) -> Sequence[str]:
    targets = reference.target if isinstance(reference.target, tuple) else (reference.target,)
    texts = [target for target in targets if isinstance(target, str)]
    if len(texts) < len(targets):
        raise DataError(f"the metric {metric} needs right texts, and the target is {reference.target!r:.40}.")
    return texts


@cache
def _bleu(tokenize: Tokenize, lowercase: bool) -> Any:
    # The effective order only makes the value of one short sentence other than 0; counts are the same without it.
    return _made("BLEU", tokenize=tokenize, lowercase=lowercase, effective_order=True)


@cache
def _chrf(word_order: int, lowercase: bool) -> Any:
    return _made("CHRF", word_order=word_order, lowercase=lowercase)


@cache
def _ter(normalized: bool, no_punctuation: bool, asian_support: bool, case_sensitive: bool) -> Any:
    return _made(
        "TER",
        normalized=normalized,
        no_punct=no_punctuation,
        asian_support=asian_support,
        case_sensitive=case_sensitive,
    )


def _made(name: str, **options: Any) -> Any:
    try:
        from sacrebleu import metrics

        scorer = getattr(metrics, name)(**options)
    except (ImportError, RuntimeError) as error:  # the latter where a tokenizer's own package is missing
        raise ServiceError(
            f"sacreBLEU's {name} needs a package that is not installed ({str(error).strip().splitlines()[0]:.120}); "
            "pip install 'evalharness[generation]' brings it."
        ) from None
    scorer.num_refs = 1  # a signature wants some number before anything is scored; ours leaves it out
    return scorer


def _signature(scorer: Any) -> str:
    """sacreBLEU's own line of its settings, of the corpus: ``case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0``."""
    told = str(scorer.get_signature()).split("|")
    kept = [part for part in told if not part.startswith("nrefs:")]
    bleu = any(part.startswith("smooth:") for part in kept)
    return "|".join("eff:no" if bleu and part == "eff:yes" else part for part in kept)
