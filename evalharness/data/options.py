"""The ``data:`` section of a task: which rows, and who has them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from evalharness.options import Options

Name = Annotated[str, Field(min_length=1)]
HubId = Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")]
# A path of a mirror is made of these, so none may climb out of it.
PathPart = Annotated[str, Field(pattern=r"^[^./\\][^/\\]*$")]


class PublishedOptions(Options):
    """A file that is published beside a data set."""

    path: Name
    """Below the folder ``extra/`` beside a mirror."""
    url: Annotated[str, Field(pattern=r"^https?://")]
    """Where it is published, at a commit."""


class PublishedRowsOptions(PublishedOptions):
    """A published file that holds the evaluated rows: lines of JSON, one list, or one object."""

    rows: Name | None = None
    """Key of the list of rows, where the file is one object."""
    columns: tuple[Name, ...] = ()
    """Further keys of that object: their values are columns of every row."""

    @model_validator(mode="after")
    def _columns_of_an_object(self) -> PublishedRowsOptions:
        if self.columns and self.rows is None:
            raise ValueError("columns are keys of the one object that the file is; name its list of rows under rows.")
        return self


class PromptFileOptions(PublishedOptions):
    """A published file of a prompt, whose worked questions are demonstrations; ``{subset}`` in path and url is filled
    in."""

    format: Literal["big_bench_hard", "json", "pal", "problem_answer", "program_of_thoughts", "react"] = (
        "big_bench_hard"
    )
    """How the file writes its questions: as the text files of BIG-Bench Hard, one list of objects in JSON, the Python
    sources of PAL and of program of thoughts, as problems with their answers (A Survey of Large Language Models), or as
    ReAct's questions with their steps."""
    key: Name | None = None
    """Of the prompt, where the file is a JSON object of several."""


class TableOptions(PublishedOptions):
    """A published table that every row of the data refers to: a jsonl file."""

    columns: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Those that are used; two files that agree in them are one table."""


class JoinOptions(Options):
    """Another split of the same data that holds more columns of the evaluated rows: answers kept apart, say."""

    split: PathPart
    """Its name, in the place where the evaluated split was found."""
    key: Name
    """Column of both that names a row."""
    file: Name | None = None
    """Its file, where `file` of the data has no ``{split}`` to fill in."""


class PassagesOptions(Options):
    """Rows whose texts are passages of a corpus."""

    data: DataOptions
    """Where the rows come from; each of its subsets, where it has several."""
    text: Name
    """Column of the text. A dot leads into an object, or into every object of a list; a list of texts is a passage
    each, and a list of lists a passage for each inner list, joined by spaces: ``context.sentences``."""
    title: Name | None = None
    """Column of the title, read alike: one for all passages of a row, or one for each."""
    take: PositiveInt | None = None
    """The first so many rows of each subset; all without it."""
    words: PositiveInt | None = None
    """Cut a text into passages of at most so many words."""

    @model_validator(mode="after")
    def _plain_rows(self) -> PassagesOptions:
        if self.data.retrieve:
            raise ValueError("data.retrieve stands in a corpus, whose rows are not asked anything; remove it.")
        return self


class CorpusOptions(Options):
    """Passages that a question may be answered from, and how they are ranked."""

    named: Annotated[str, Field(pattern=r"^\w+$")] | None = None
    """A corpus that comes with evalharness, in place of `sources`."""
    sources: tuple[PassagesOptions, ...] = ()
    """Where the passages come from; equal ones count once."""
    k1: Annotated[float, Field(ge=0)] = 0.9
    """How soon repeated words of a passage stop to count more. 0.9 with b 0.4 is what Anserini has for passages of
    Wikipedia (Ma et al. 2021, arXiv:2104.05740)."""
    b: Annotated[float, Field(ge=0, le=1)] = 0.4
    """How much long passages are marked down."""

    @model_validator(mode="after")
    def _some_passages(self) -> CorpusOptions:
        if bool(self.named) == bool(self.sources):
            given = "both are" if self.named else "neither is"
            raise ValueError(f"a corpus needs passages: give named or sources, of which {given} given.")
        return self


class RetrieveOptions(Options):
    """Passages for each row, found by what it asks."""

    corpus: CorpusOptions
    query: Name
    """Column whose text is looked for; a dot leads into an object."""
    k: PositiveInt = 5
    """Passages of a row, the best first."""
    into: Name = "passages"
    """Name of the new column: a list of objects with ``id``, ``title`` (empty where there is none) and ``text``."""


class DataOptions(Options):
    """Where a task's rows come from.

    Exactly one of `hub`, `file`, `package`, `published` and `generator`; beside `hub`, a `package` may stand in for it.
    """

    hub: HubId | None = None
    """Id of a data set on the Hugging Face hub, ``openai/gsm8k``; also its folder in a mirror."""
    mirror: HubId | None = None
    """Another id of the same rows, which a mirror may have them under: an original that the hub no longer serves
    because a script loads it."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """Commit of the hub's repository, in full: a branch moves, so it pins nothing."""
    config: PathPart | None = None
    """The hub's configuration, where the data set has several."""
    split: PathPart = "test"
    """The split that is evaluated; ``{subset}`` where each of the subsets is a split of one configuration."""
    subsets: dict[str, tuple[PathPart, ...]] = Field(default_factory=dict)
    """Configurations that together are the task, by group: ``{stem: [astronomy, ...]}``."""
    subset_column: Name | None = None
    """Column that says which of the `subsets` a row belongs to, where one configuration holds them all; a dot leads
    into an object: ``metadata.library``."""
    id: Name | None = None
    """Column that names a row; without it a row is named by its position in the original split."""
    cluster: Name | Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Column that samples of one source share (a passage with several questions), or several that together name it:
    intervals count it once."""
    rows: dict[str, PositiveInt] = Field(default_factory=dict)
    """Rows that each original split has: the N of "n of N" where a source itself does not know."""
    file: Name | None = None
    """A jsonl, csv or parquet file, relative to the task file (with `package`: to the package's folder).

    ``{split}`` and ``{subset}`` in it are filled in; without ``{split}`` it holds the evaluated split only.
    """
    package: Name | None = None
    """An installed Python package that carries `file`."""
    published: PublishedRowsOptions | None = None
    """A published file, for rows that no data set of the hub has."""
    generator: Name | None = None
    """A generator of the registry, which makes the rows."""
    rename: dict[Name, Name] = Field(default_factory=dict)
    """New names of columns, by their own, in which ``{subset}`` is filled in: ``{"{subset}": translation}``."""
    join: JoinOptions | None = None
    """Another split, whose columns are added to each row of the evaluated one."""
    tables: dict[Name, TableOptions] = Field(default_factory=dict)
    """Tables by the name of a column, which holds the table's sha256 in every row: scoring looks it up by that."""
    texts: dict[Name, PublishedOptions] = Field(default_factory=dict)
    """Published texts, such as a long prompt, by the name of a column that holds them in every row."""
    retrieve: RetrieveOptions | None = None
    """Passages of a corpus that are shown with each row: open-book questions."""
    demo: Name | None = None
    """A bundled sample in the benchmark's style, used only under ``--allow-demo``."""

    @model_validator(mode="after")
    def _one_source(self) -> DataOptions:
        published = self.published.path if self.published else None
        alone = {"hub": self.hub, "generator": self.generator, "published": published}
        alone["package" if self.package else "file"] = self.package or self.file
        given = [name for name, value in alone.items() if value]
        if len(given) != 1 and given != ["hub", "package"]:
            raise ValueError(
                f"one source is needed but {' and '.join(given) or 'none'} is given; "
                "name one of hub, file, package (with file), published and generator, or hub with package and file."
            )
        if self.package and not self.file:
            raise ValueError(f"package '{self.package}' needs file: the path of the rows inside the package.")
        if self.package and not all(part.isidentifier() for part in self.package.split(".")):
            raise ValueError(f"package '{self.package}' is no name of a Python package, such as 'human_eval'.")
        return self

    @model_validator(mode="after")
    def _keys_that_belong_together(self) -> DataOptions:
        for key, value in (("revision", self.revision), ("config", self.config), ("mirror", self.mirror)):
            if value and not self.hub:
                raise ValueError(f"{key} belongs to hub, which is not given; remove {key} or name the hub's data set.")
        if self.subset_column and not self.subsets:
            raise ValueError(f"subset_column is '{self.subset_column}', but no subsets are given; list its values.")
        if self.subsets_are_splits and (not self.subsets or self.subset_column or self.join or self.published):
            raise ValueError("split is '{subset}', which takes subsets, and no subset_column, join or published.")
        if self.config and self.subsets and not self.subset_column and not self.subsets_are_splits:
            raise ValueError("config and subsets are both given; subsets are the configurations, so remove config.")
        for source, alone in (("generator", bool(self.generator)), ("published", bool(self.published))):
            if alone and self.subsets and not self.subset_column:
                raise ValueError(f"subsets are given beside {source}, which has none; remove subsets.")
        if self.rows and self.subsets:
            raise ValueError("rows cannot be given beside subsets, whose numbers of rows differ; remove rows.")
        repeated = [name for name, count in Counter(self.subset_names).items() if count > 1]
        if repeated:
            raise ValueError(f"subset '{repeated[0]}' is listed twice; each belongs to one group.")
        return self

    @model_validator(mode="after")
    def _join_of_another_split(self) -> DataOptions:
        if self.join and self.join.split == self.split:
            raise ValueError(f"join.split is '{self.split}', the evaluated split itself; name the other one.")
        if self.join and self.join.file and not self.file:
            raise ValueError("join.file stands beside file, which is not given; remove it.")
        return self

    @property
    def subsets_are_splits(self) -> bool:
        """Whether each subset is a split, and not a configuration."""
        return "{subset}" in self.split

    @property
    def subset_names(self) -> tuple[str, ...]:
        """Every subset, in the order of the groups; empty where the task has none."""
        return tuple(name for group in self.subsets.values() for name in group)

    @property
    def name(self) -> str:
        """What the data are called in a sentence: the hub's id, the package and file, the file, the generator."""
        packaged = f"{self.package}:{self.file}" if self.package else self.file
        published = self.published.path if self.published else None
        return self.hub or packaged or published or f"generator {self.generator}"
