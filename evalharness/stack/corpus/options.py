"""The YAML of a corpus: where texts come from, what is removed of them, how they become tokens and sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Format = Literal["text", "jsonl", "parquet"]
Unit = Literal["file", "line", "paragraph"]
Broken = Literal["drop", "replace", "error"]


class Section(BaseModel):
    """A section of the YAML: typed, frozen, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SourceOptions(Section):
    """Files of one kind and origin; a mixture weighs sources by their names."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    paths: tuple[str, ...] = Field(min_length=1)
    """Files, folders and patterns (``texts/*.txt``, ``**`` for any depth), from the folder of the YAML on; a name may
    end in ``.gz``."""
    format: Format | None = None
    """By the file's suffix unless given: .txt and .md, .jsonl and .ndjson, .parquet."""
    text: str = "text"
    """The key or column that holds the text (`jsonl`, `parquet`)."""
    unit: Unit = "file"
    """What a document is in a `text` file: all of it, a line, or what stands between empty lines."""
    broken: Broken = "drop"
    """What is done with a document that is no UTF-8, or a line that is no JSON: left out and counted, read with U+FFFD
    in place of the bad bytes (a line that is no JSON is left out all the same), or the end of the build."""


class LengthOptions(Section):
    """How long a document is; a word is what white space surrounds."""

    min_words: int = Field(default=1, ge=0)
    max_words: int | None = Field(default=None, ge=1)
    min_characters: int = Field(default=1, ge=0)
    max_characters: int | None = Field(default=None, ge=1)


class LanguageOptions(Section):
    """Which languages stay, as told by script and function words."""

    keep: tuple[str, ...] = Field(min_length=1)
    """ISO 639-1 codes: en, de, fr, ..."""
    min_share: float = Field(default=0.1, ge=0, le=1)
    """Least share of the words that are function words of the language, or of the letters that are of its script."""


class QualityOptions(Section):
    """Gopher's rules of quality (Rae et al. 2021, arXiv 2112.11446, appendix A1.1), with its thresholds."""

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word_length: float = 3
    max_mean_word_length: float = 10
    max_symbols_per_word: float = 0.1
    """Of ``#`` and of ellipses, each for itself."""
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic_words: float = 0.8
    """Least share of words with a letter in them."""
    min_stop_words: int = 2
    """How many of the, be, to, of, and, that, have, with must be there; 0 for languages other than English."""


class RepetitionOptions(Section):
    """Gopher's rules of repetition (same place, table A1): shares that are too large."""

    max_duplicate_lines: float = 0.3
    max_duplicate_line_characters: float = 0.2
    max_duplicate_paragraphs: float = 0.3
    max_duplicate_paragraph_characters: float = 0.2
    max_top_ngrams: dict[int, float] = {2: 0.2, 3: 0.18, 4: 0.16}
    """For n words: share of the characters that the most frequent n words in a row may make up."""


class FilterOptions(Section):
    """Filters, in this order; a document is counted at the first one that removes it."""

    length: LengthOptions | None = None
    language: LanguageOptions | None = None
    quality: QualityOptions | None = None
    repetition: RepetitionOptions | None = None


class NearOptions(Section):
    """Near copies by MinHash and locality-sensitive hashing (Broder 1997; Leskovec et al., Mining of Massive Datasets,
    chapter 3)."""

    threshold: float = Field(default=0.8, gt=0, lt=1)
    """Jaccard similarity of the sets of shingles from which two documents are copies, as the signatures estimate it."""
    permutations: int = Field(default=256, ge=16, le=4096)
    """Numbers in a signature: the estimate's standard error is sqrt(s (1 - s) / permutations), 0.025 at s = 0.8."""
    shingle: int = Field(default=5, ge=1)
    """Words in a shingle."""
    seed: int = Field(default=1, ge=0)


class DeduplicationOptions(Section):
    """Which copies go; the first of them in the order of the sources stays."""

    exact: bool = True
    """Texts that are the same, white space at both ends aside."""
    near: NearOptions | None = None


class DecontaminationOptions(Section):
    """Documents that hold what the harness itself asks (Brown et al. 2020, arXiv 2005.14165, appendix C)."""

    tasks: tuple[str, ...] = Field(min_length=1)
    """Tasks, suites and patterns, as `evalharness run --task` takes them."""
    ngram: int = Field(default=13, ge=2)
    """Words in a row that must be the same."""
    shortest: int = Field(default=8, ge=2)
    """A task whose items are short is looked for by fewer: the 5th percentile of its items' lengths in words, not below
    this and not above `ngram`."""
    rule: Literal["any", "share"] = "any"
    """A document is contaminated by one such n-gram of an item (GPT-3), or by a share of an item's n-grams (PaLM)."""
    share: float = Field(default=0.7, gt=0, le=1)
    """For the rule `share`; PaLM (Chowdhery et al. 2022, arXiv 2204.02311) took 0.7 of the 8-grams."""
    remove: Literal["document", "span"] = "document"
    """The whole document, or what is the same and its surroundings; what is left of it on both sides are documents."""
    margin: int = Field(default=200, ge=0)
    """Characters that go on each side of a span."""
    shortest_piece: int = Field(default=200, ge=1)
    """A piece of fewer characters goes as well."""
    most_pieces: int = Field(default=10, ge=1)
    """A document cut into more pieces goes altogether."""

    @model_validator(mode="after")
    def _ordered(self) -> DecontaminationOptions:
        if self.shortest > self.ngram:
            raise ValueError(f"shortest ({self.shortest}) must not be above ngram ({self.ngram}).")
        return self


class PackingOptions(Section):
    """How documents become sequences of one length."""

    length: int = Field(ge=2)
    """Tokens of a sequence. A model of context T is trained on T + 1: inputs are all but the last, targets all but the
    first."""
    method: Literal["cut", "best_fit"] = "cut"
    """One long text cut every `length` tokens; or documents kept whole where they fit, by best fit decreasing (Ding et
    al. 2024, arXiv 2404.10830), the rest of a sequence padded."""
    boundaries: bool = True
    """Whether sequences say which document a token is of, so that none attends to another one."""


class PhaseOptions(Section):
    """Weights from one moment of the training on."""

    at: float = Field(ge=0, le=1)
    """Share of the training that is done: 0 is its beginning."""
    weights: dict[str, float] = Field(min_length=1)
    """Source to weight; those that are not named have 0. Weights need not add up to 1."""

    @model_validator(mode="after")
    def _positive(self) -> PhaseOptions:
        if min(self.weights.values()) < 0 or sum(self.weights.values()) <= 0:
            raise ValueError("weights must be 0 or more, and one of them more than 0.")
        return self


class MixtureOptions(Section):
    """In which shares sources are drawn, over the course of a training."""

    schedule: tuple[PhaseOptions, ...] = Field(min_length=1)
    """Phases by `at`; the first is at 0."""
    change: Literal["step", "linear"] = "step"
    """Weights stay until the next phase, or go over to it in a straight line."""
    epochs: dict[str, float] = {}
    """Most often that a source may be drawn through; what has been is left out from then on."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> MixtureOptions:
        shares = [phase.at for phase in self.schedule]
        if shares[0] != 0 or sorted(set(shares)) != shares:
            raise ValueError("schedule: the first phase is at 0 and each later one after the one before.")
        if any(limit <= 0 for limit in self.epochs.values()):
            raise ValueError("epochs: a limit is above 0.")
        return self


class PipelineOptions(Section):
    """A corpus, from texts to a folder of shards with a card."""

    output: str
    """The folder to write, from the folder of the YAML on."""
    tokenizer: str = "bytes"
    """A folder with tokenizer.json, from the folder of the YAML on; or ``bytes``."""
    end_token: str | None = None
    """The token after each document; the tokenizer's EOS unless given."""
    sources: tuple[SourceOptions, ...] = Field(min_length=1)
    filters: FilterOptions = FilterOptions()
    deduplication: DeduplicationOptions = DeduplicationOptions()
    decontamination: DecontaminationOptions | None = None
    shard_tokens: int = Field(default=10_000_000, ge=1)
    """A shard ends with the document that brings it to so many tokens. A build that is cut off loses the last one."""
    workers: int = Field(default=1, ge=1)
    """Processes that filter, compare and tokenise; they change no byte of the result."""
    packing: PackingOptions | None = None
    """For the card: what packing would drop and pad."""
    mixture: MixtureOptions | None = None
    """Kept with the corpus for trainings."""

    @model_validator(mode="after")
    def _consistent(self) -> PipelineOptions:
        names = [source.name for source in self.sources]
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"sources: the name '{doubled}' is given twice.")
        for phase in self.mixture.schedule if self.mixture else ():
            if unknown := sorted(set(phase.weights) - set(names)):
                raise ValueError(f"mixture: no source is named '{unknown[0]}'; there are: {', '.join(names)}.")
        return self
