"""The whole task file as one model. Each section's model belongs to the package that acts on it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from evalharness.data.options import DataOptions
from evalharness.elicitation.options import DecodeOptions, ElicitationOptions
from evalharness.options import Options
from evalharness.prompting.demonstrations.options import DemonstrationOptions
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions, TargetOptions


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
    check: str | None = None
    """Name of the check of `tasks validate` that finds this fault, which then passes."""


FORMS: dict[str, tuple[str, str]] = {
    "target": ("direct", "exact_match"),
    "choices": ("choice_likelihood", "acc"),
    "continuation": ("continuation_likelihood", "greedy_match"),
    "document": ("rolling_likelihood", "word_perplexity"),
}
"""The sections that say what is right, with the method and the metric of a task that names none."""


class TaskDefinition(Options):
    """One benchmark: its data, how it is asked, how it is scored. A task of one's own needs name, data, prompt and
    one of target, choices, continuation, document."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    """The file's name without .yaml."""
    version: int = Field(default=1, ge=1)
    """Raised when scores before and after do not compare."""
    ability: str = "own"
    """Folder under tasks/ and place in tables: reasoning/mathematical."""
    description: str = ""
    """One sentence: what it measures."""
    source: SourceOptions | None = None
    data: DataOptions
    demonstrations: DemonstrationOptions = DemonstrationOptions()
    prompt: PromptOptions
    target: str | TargetOptions | None = None
    """Template: the right answer's text, for tasks that are answered by writing. Where any of several is right,
    {any_of: expression}."""
    choices: ChoiceOptions | None = None
    """For tasks that are answered by choosing."""
    continuation: str | None = None
    """Template: the text whose likelihood is asked after the prompt."""
    document: DocumentOptions | None = None
    """For tasks that score every token of a text."""
    facts: dict[str, str] = Field(default_factory=dict)
    """Expressions by name: what metrics read of a row beside what is right. The option `where` of a metric picks
    samples by them."""
    perturb: tuple[str | dict[str, Any], ...] = ()
    """Perturbations of the question, by name with their options: {perturbation: typos, rate: 0.1}."""
    elicitation: ElicitationOptions = ElicitationOptions()
    decode: DecodeOptions = DecodeOptions()
    answer: dict[str, Any] | None = None
    """The parser that reads the answer, by name, with its options: {parser: number}; the whole text unless given."""
    judging: tuple[str | dict[str, Any], ...] = ()
    """Judges of what the model wrote, by name with their options: {judge: execution, tests: ..., calls: ...}. Metrics
    such as passes read their verdicts."""
    metrics: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    """Names, or mappings {metric: name, label: ..., answer: {...}, reducer: ..., options}. The first one is the
    headline."""
    repeats: int = Field(default=1, ge=1)
    """How often each sample is elicited."""
    reducer: str = "mean"
    """How repeats become one score: mean, majority, max, pass@k, pass^k."""
    ceiling: float = Field(default=1.0, gt=0.0, le=1.0)
    """What the right answers themselves score, where the protocol's own rules miss some of them."""
    protocols: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Further protocols by name: what differs from the file's own, merged key by key; null takes a key out."""
    known_defects: tuple[KnownDefect, ...] = ()
    examples: tuple[dict[str, Any], ...] = ()
    """At least three rows in the shape of the data, written for this file and in no data set: the protocol hash
    and `tasks show` render them. A task of one's own may go without; its templates are then hashed as written."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_form(cls, values: Any) -> Any:
        """A task that names no method, metric or parser gets those of the section that says what is right."""
        form = next((form for form in FORMS if isinstance(values, dict) and values.get(form) is not None), None)
        if form is None:
            return values
        method, metric = FORMS[form]
        filled = {"metrics": [metric], **values}
        elicitation = values.get("elicitation") or {}
        if isinstance(elicitation, dict):
            filled["elicitation"] = {"method": method, **elicitation}
        if not isinstance(filled["metrics"], list | tuple):
            return filled  # refused by its own type
        bare = [entry for entry in filled["metrics"] if not (isinstance(entry, dict) and entry.get("answer"))]
        if form == "target" and bare and filled.get("answer") is None:
            filled["answer"] = {"parser": "text"}
        return filled

    @model_validator(mode="after")
    def _one_form(self) -> TaskDefinition:
        forms = [name for name in FORMS if getattr(self, name) is not None]
        if not forms:
            raise ValueError(f"say what is right: give one of {', '.join(FORMS)}.")
        if 0 < len(self.examples) < 3:
            raise ValueError(f"examples: {len(self.examples)} given; write at least three, or none.")
        if len(forms) > 1 and set(forms) != {"target", "choices"}:
            raise ValueError(f"{' and '.join(forms)} do not go together; keep one.")
        return self


class ColumnOptions(Options):
    """One column of a suite's layout: a task under one protocol in one metric, or why there is none."""

    label: str = Field(min_length=1)
    """As the table shows it; several columns may have one label, under other protocols."""
    task: str | None = None
    protocol: str | None = None
    """The task's own, default, unless named."""
    shots: int | None = Field(default=None, ge=0)
    method: str | None = None
    limit: int | None = Field(default=None, ge=1)
    sample: int | None = Field(default=None, ge=1)
    metric: str | None = None
    """The task's first one unless named."""
    over: Literal["samples", "subsets"] = "samples"
    """Every sample counts alike, or every subset does."""
    average: bool = True
    """Whether it counts in averages."""
    empty: str | None = Field(default=None, min_length=1)
    """In place of a task: why it is not here."""
    note: str = ""
    """What a reader of the score must know."""

    @model_validator(mode="after")
    def _a_task_or_why_none(self) -> ColumnOptions:
        if (self.task is None) == (self.empty is None):
            raise ValueError(f"{self.label}: give a task, or under 'empty' the reason why there is none; one of them.")
        return self

    @property
    def changes(self) -> tuple[str, ...]:
        """What it changes of the protocol: ``shots=25``."""
        return tuple(f"{key}={value}" for key in ("shots", "method") if (value := getattr(self, key)) is not None)

    @property
    def entry(self) -> dict[str, Any]:
        """The column as an entry of `tasks`."""
        kept = {"task", "protocol", "shots", "method", "limit", "sample"}
        return self.model_dump(include=kept, exclude_none=True)


class SuiteDefinition(Options):
    """A list of tasks run and reported together, plainly or in a published layout."""

    suite: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str
    tasks: tuple[str | dict[str, Any], ...] = ()
    """Names, or mappings {task: name, protocol: ..., limit: ..., sample: ..., average: false}."""
    layout: dict[str, tuple[ColumnOptions, ...]] = Field(default_factory=dict)
    """In place of tasks: columns by ability. Where a column's data are missing, its cell says so and the others run."""
    averages: Literal["suite", "abilities", "none"] = "suite"
    """Of a layout: what is averaged, all columns, those of each ability, or nothing."""

    @model_validator(mode="after")
    def _tasks_or_layout(self) -> SuiteDefinition:
        if bool(self.tasks) == bool(self.layout):
            raise ValueError("tasks: give some, or a layout in their place; one of the two.")
        return self

    @property
    def columns(self) -> tuple[tuple[str, ColumnOptions], ...]:
        """The layout's columns, each with its ability."""
        return tuple((ability, column) for ability, columns in self.layout.items() for column in columns)

    @property
    def entries(self) -> tuple[str | dict[str, Any], ...]:
        """What is run: the tasks, or the columns that have one."""
        return self.tasks or tuple(column.entry for _, column in self.columns if column.task is not None)
