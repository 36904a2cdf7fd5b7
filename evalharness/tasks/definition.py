"""The whole task file as one model. Each section's model belongs to the package that acts on it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from evalharness.data.options import DataOptions
from evalharness.elicitation.options import DecodeOptions, ElicitationOptions
from evalharness.options import Options
from evalharness.prompting.demonstrations.options import DemonstrationOptions
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions


class SourceOptions(Options):
    """Where the benchmark comes from: for readers, and for the licence."""

    paper: str
    """Authors, year, identifier."""
    license: str
    """Licence of the data, as its source states it."""
    columns_from: str
    """Where the columns that the templates use were read."""
    homepage: str | None = None


class KnownDefect(Options):
    """A fault of a published protocol that is copied on purpose, so that scores compare."""

    what: str
    link: str


class TaskDefinition(Options):
    """One benchmark: its data, how it is asked, how it is scored."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    """The file's name without .yaml."""
    version: int = Field(ge=1)
    """Raised when scores before and after do not compare."""
    ability: str
    """Folder under tasks/ and place in tables: reasoning/mathematical."""
    description: str
    """One sentence: what it measures."""
    source: SourceOptions
    data: DataOptions
    demonstrations: DemonstrationOptions = DemonstrationOptions()
    prompt: PromptOptions
    target: str | None = None
    """Template: the right answer's text, for tasks that are answered by writing."""
    choices: ChoiceOptions | None = None
    """For tasks that are answered by choosing."""
    continuation: str | None = None
    """Template: the text whose likelihood is asked after the prompt."""
    document: DocumentOptions | None = None
    """For tasks that score every token of a text."""
    elicitation: ElicitationOptions = ElicitationOptions()
    decode: DecodeOptions = DecodeOptions()
    answer: dict[str, Any] | None = None
    """The parser that reads the answer, by name, with its options: {parser: number}."""
    metrics: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    """Names, or mappings {metric: name, label: ..., answer: {...}, options}. The first is the headline."""
    repeats: int = Field(default=1, ge=1)
    """How often each sample is elicited."""
    reducer: str = "mean"
    """How repeats become one score: mean, majority, pass@k, pass^k."""
    protocols: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Further protocols by name: what differs from the file's own, merged key by key; null takes a key out."""
    known_defects: tuple[KnownDefect, ...] = ()
    examples: tuple[dict[str, Any], ...] = Field(min_length=3)
    """Rows in the shape of the data, written for this file and in no data set: the protocol hash and
    `tasks show` render them."""

    @model_validator(mode="after")
    def _one_form(self) -> TaskDefinition:
        forms = [name for name in ("target", "choices", "continuation", "document") if getattr(self, name) is not None]
        if not forms:
            raise ValueError("say what is right: give one of target, choices, continuation, document.")
        if len(forms) > 1 and set(forms) != {"target", "choices"}:
            raise ValueError(f"{' and '.join(forms)} do not go together; keep one.")
        return self


class SuiteDefinition(Options):
    """A list of tasks run and reported together."""

    suite: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str
    tasks: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    """Names, or mappings {task: name, protocol: ..., limit: ..., sample: ...}."""
