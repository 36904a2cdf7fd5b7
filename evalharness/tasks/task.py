"""A task made ready: one definition under one protocol, its templates compiled, its scorer and method built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from evalharness import registry
from evalharness.answers.base import Parser, build_parser
from evalharness.data.options import CorpusOptions
from evalharness.elicitation.base import Method, ToolOptions
from evalharness.errors import DataError, UsageError, nearest
from evalharness.judging.base import Judge, build_judges
from evalharness.options import Options, parse_options
from evalharness.prompting.perturbations.base import Perturbation, build_perturbations
from evalharness.prompting.perturbed import PerturbedRenderer
from evalharness.prompting.prompter import Renderer
from evalharness.prompting.templates import Expression, Template
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import Metric, build_metrics
from evalharness.scoring.reducers import check_reducer
from evalharness.tasks.definition import SuiteDefinition, TaskDefinition
from evalharness.tasks.files import find, merged, read_yaml
from evalharness.tools.base import ListedTool, listed_tools
from evalharness.types import Reference, Sampling

DEFAULT = "default"


@dataclass(frozen=True, eq=False)
class Task:
    """A benchmark under one protocol."""

    definition: TaskDefinition
    protocol: str
    path: Path
    subset: str | None = None
    """Only this subset, or group of subsets, of the data."""

    @property
    def name(self) -> str:
        """As tables show it: the file's name, with the subset if only one is taken."""
        return f"{self.definition.name}/{self.subset}" if self.subset else self.definition.name

    @cached_property
    def renderer(self) -> Renderer:
        d = self.definition
        sections: dict[str, Any] = {
            "target": d.target,
            "choices": d.choices,
            "continuation": d.continuation,
            "document": d.document,
            "where": self.path.name,
            "facts": d.facts,
        }
        if not self.perturbations:
            return Renderer(d.prompt, **sections)
        return PerturbedRenderer(d.prompt, task=d.name, perturbations=self.perturbations, **sections)

    @cached_property
    def perturbations(self) -> tuple[Perturbation, ...]:
        """What puts its questions in another way."""
        return build_perturbations(self.definition.perturb, f"{self.path}: perturb")

    @property
    def unperturbed(self) -> Task:
        """The same task as it asks without them."""
        return replace(self, definition=self.definition.model_copy(update={"perturb": ()}))

    @cached_property
    def parser(self) -> Parser | None:
        """Reads the answer, unless a metric brings a parser of its own."""
        return build_parser(self.definition.answer, f"{self.path}: answer") if self.definition.answer else None

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        return build_metrics(self.definition.metrics, f"{self.path}: metrics")

    @cached_property
    def judges(self) -> tuple[Judge, ...]:
        return build_judges(self.definition.judging, f"{self.path}: judging")

    @cached_property
    def reducers(self) -> dict[str, str]:
        """By metric, how repeats become its one score."""
        return {metric.name: metric.reducer or self.definition.reducer for metric in self.metrics}

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer(self.parser, self.metrics)

    @cached_property
    def method(self) -> Method:
        return cast(Method, registry.lookup("method", self.definition.elicitation.method))

    @cached_property
    def method_options(self) -> Options:
        return parse_options(
            self.method.options, self.definition.elicitation.method_options, f"{self.path}: elicitation"
        )

    @property
    def sampling(self) -> Sampling:
        return self.definition.decode.sampling

    @property
    def executes(self) -> bool:
        """Whether a run executes programs, for a method, a tool or a judge, and so needs a sandbox."""
        tools = any(tool.executes for tool in self.tools)
        return self.method.executes or tools or any(judge.executes for judge in self.judges)

    @cached_property
    def tools(self) -> tuple[ListedTool, ...]:
        """What the method hands to the model."""
        options = self.method_options
        where = f"{self.path}: elicitation.tools"
        return listed_tools(options.tools, where) if isinstance(options, ToolOptions) else ()

    @property
    def corpus(self) -> CorpusOptions | None:
        """What the tools search, for the run to load it; None where none of them searches."""
        return next((tool.corpus for tool in self.tools if tool.corpus), None)

    @property
    def asks_judge(self) -> bool:
        """Whether a run needs a judge model."""
        return any(judge.asks for judge in self.judges)

    @property
    def templates(self) -> list[Template | Expression]:
        """Every template of the definition; each knows its field."""
        return [*self.renderer.templates, *(template for judge in self.judges for template in judge.templates)]

    @property
    def columns(self) -> frozenset[str]:
        """Columns of a row that decide what is asked and what is right: a sample's content hash covers them."""
        return self.renderer.columns.union(*(judge.columns for judge in self.judges))

    @property
    def demonstration_columns(self) -> frozenset[str]:
        """Columns of a row that is shown as a demonstration, with its answer."""
        return self.renderer.demonstration_columns(reasoned=self.method.reasoned)

    def right_answer(self, reference: Reference) -> str:
        """The right answer as the parser would give it; the first where any of several is right."""
        target = reference.target[0] if isinstance(reference.target, tuple) else reference.target
        if self.parser is None:
            return str(target)
        if isinstance(target, int) and reference.choices:
            return self.parser.canonical_choice(target, reference.choices)
        return self.parser.canonical(str(target))

    def subsets(self) -> list[str | None]:
        """The data's subsets that this task takes, in the file's order; [None] for data without any.

        Raises:
            UsageError: no subset or group has the wanted name.
        """
        groups = self.definition.data.subsets
        if not groups:
            if self.subset:
                raise UsageError(f"{self.definition.name} has no subsets, so '{self.subset}' is none of them.")
            return [None]
        every = [subset for members in groups.values() for subset in members]
        if self.subset is None:
            return list(every)
        if self.subset in groups:
            return list(groups[self.subset])
        if self.subset in every:
            return [self.subset]
        raise UsageError(
            f"{self.definition.name} has no subset '{self.subset}'; {nearest(self.subset, [*groups, *every])}"
        )

    def group_of(self, subset: str) -> str:
        return next(group for group, members in self.definition.data.subsets.items() if subset in members)

    def check(self) -> None:
        """Build everything once, so that a faulty definition fails before any model is loaded.

        Raises:
            UsageError: the method does not fit the task, or demonstrations are asked for without a pool.
            DataError: a section is faulty.
        """
        d, method = self.definition, self.method
        _ = self.renderer, self.scorer, self.method_options, self.tools, self.judges
        self.subsets()
        for reducer in (d.reducer, *self.reducers.values()):
            check_reducer(reducer, d.repeats)
        if getattr(d, method.needs) is None:
            raise UsageError(
                f"{self.name}: the method {method.name} needs the section '{method.needs}', which this task "
                f"does not have; {_fitting(d)}"
            )
        if method.demonstrations == "required" and d.demonstrations.shots == 0:
            raise UsageError(f"{self.name}: the method {method.name} needs demonstrations; add --shots 5, say.")
        if d.demonstrations.shots and method.demonstrations == "none":
            raise UsageError(f"{self.name}: the method {method.name} shows no demonstrations; use --shots 0.")
        if d.demonstrations.shots and not d.demonstrations.has_pool:
            raise UsageError(
                f"{self.name}: --shots {d.demonstrations.shots} needs demonstrations, but this task names "
                "no pool for them (demonstrations.split, .file, .rows or .prompt_file)."
            )
        if d.demonstrations.shots and method.reasoned and d.prompt.reasoned_answer is None:
            raise UsageError(
                f"{self.name}: prompt.reasoned_answer is missing, so no demonstration can show a chain of "
                "thought; use --shots 0 or --method direct."
            )
        for needs, metric in {(metric.needs, metric.metric) for metric in self.metrics}:
            if needs == "steps" and method.loops:
                continue
            if needs == "steps" or (needs in ("answer", "verdict")) == method.scores:
                raise UsageError(
                    f"{self.name}: the metric {metric} reads {needs}, which the method {method.name} does "
                    "not bring; choose another with --method or --set metrics=[...]."
                )
        self._check_judging()

    def _check_judging(self) -> None:
        judges = [judge.judge for judge in self.judges]
        for number, metric in enumerate(self.metrics):
            if metric.needs == "verdict" and (judge := getattr(metric, "judge", None)) not in judges:
                raise DataError(
                    f"{self.path}: metrics[{number}]: {metric.name} reads what the judge '{judge}' says, "
                    "but the section judging does not list it."
                )
        if judges and self.method.scores:
            raise UsageError(
                f"{self.name}: the judge {judges[0]} judges what a model writes, and the method {self.method.name} "
                "lets it write nothing; choose another with --method."
            )
        if judges and self.parser is None:
            raise DataError(
                f"{self.path}: judging: judges read an answer, but nothing says how; add answer: {{parser: code}}, say."
            )


def _fitting(definition: TaskDefinition) -> str:
    fitting = [
        name
        for name in registry.names("method")
        if getattr(definition, registry.lookup("method", name).needs) is not None
    ]
    return f"fitting methods: {', '.join(fitting)}."


def load_task(
    name: str | Path,
    *,
    protocol: str = DEFAULT,
    changes: Mapping[str, Any] | None = None,
    method: str | None = None,
    shots: int | None = None,
    include: Iterable[Path] = (),
) -> Task:
    """The task of a name (``gsm8k``, ``mmlu/astronomy``) or YAML file, under a protocol, with a user's changes.

    Args:
        changes: nested settings merged over the protocol's, as `--set` gives them.
        method: elicit by this method in place of the task's own; the old one's options go.
        shots: number of demonstrations in place of the protocol's.

    Raises:
        UsageError: an unknown task, protocol, method or subset.
        DataError: the file is malformed.
    """
    stem, _, subset = str(name).partition("/") if not str(name).endswith((".yaml", ".yml")) else (str(name), "", "")
    path = find(stem, include)[0][1]
    values = read_yaml(path)
    if "suite" in values:
        raise UsageError(f"'{stem}' is a suite of tasks; run it with --task {stem}, or name one of its tasks here.")
    base = parse_options(TaskDefinition, values, str(path))
    if base.name != path.stem:
        raise DataError(f"{path}: name: '{base.name}' must be the file's name '{path.stem}'.")
    resolved = _resolved(values, base, protocol, path)
    overrides = merged(changes or {}, {})
    if "file" in overrides.get("data", {}):
        # A file of the user's own takes the place of the data set's usual sources.
        kept = ("split", "id", "subsets", "subset_column", "retrieve")
        resolved["data"] = {key: value for key, value in resolved["data"].items() if key in kept}
    if isinstance(overrides.get("judging"), Mapping):
        overrides["judging"] = _changed_judges(resolved.get("judging", ()), overrides["judging"], path)
    if "file" in overrides.get("demonstrations", {}):
        resolved["demonstrations"] = {**resolved.get("demonstrations", {}), "split": None}
    if method is not None:
        registry.lookup("method", method)
        overrides["elicitation"] = {"method": method, **overrides.get("elicitation", {})}
        if method != resolved.get("elicitation", {}).get("method"):
            resolved["elicitation"] = {}
    if shots is not None:
        overrides["demonstrations"] = merged(overrides.get("demonstrations", {}), {"shots": shots})
    elif method is not None:
        needed = registry.lookup("method", method).demonstrations
        if needed == "none":
            overrides["demonstrations"] = merged(overrides.get("demonstrations", {}), {"shots": 0})
    place = str(path) if not overrides else f"{path} with the changes on the command line"
    definition = parse_options(TaskDefinition, merged(resolved, overrides), place)
    task = Task(definition=definition, protocol=protocol, path=path, subset=subset or None)
    task.check()
    return task


def _changed_judges(
    judging: Sequence[str | Mapping[str, Any]], changes: Mapping[str, Any], path: Path
) -> list[dict[str, Any]]:
    """The judges of a task with changes by the judge's name: ``{pairwise: {against: runs/x}}``.

    Raises:
        UsageError: the task lists no such judge.
    """
    entries = [{"judge": entry} if isinstance(entry, str) else dict(entry) for entry in judging]
    listed = [str(entry.get("judge")) for entry in entries]
    for name, options in changes.items():
        if name not in listed:
            raise UsageError(f"judging.{name}: {path.stem} lists no judge '{name}'; {nearest(name, listed)}")
        if not isinstance(options, Mapping):
            raise UsageError(f"judging.{name}: name an option of the judge, such as judging.{name}.max_tokens=64.")
    return [merged(entry, changes.get(name, {})) for entry, name in zip(entries, listed, strict=True)]


def protocol_names(path: Path) -> list[str]:
    """The protocols that a task's file declares, the default first.

    A loaded task is one of them and no longer knows the others.
    """
    declared = read_yaml(path).get("protocols")
    return [DEFAULT, *declared] if isinstance(declared, dict) else [DEFAULT]


def _resolved(values: dict[str, Any], base: TaskDefinition, protocol: str, path: Path) -> dict[str, Any]:
    own = {key: value for key, value in values.items() if key != "protocols"}
    if protocol == DEFAULT:
        return own
    if protocol not in base.protocols:
        known = [DEFAULT, *base.protocols]
        raise UsageError(f"{base.name} has no protocol '{protocol}'; {nearest(protocol, known)}")
    resolved = merged(own, base.protocols[protocol])
    # A protocol adds to the defects of the file; elsewhere a list takes the place of a list.
    more = base.protocols[protocol].get("known_defects")
    if isinstance(more, list):
        resolved["known_defects"] = [*own.get("known_defects", ()), *more]
    parse_options(TaskDefinition, resolved, f"{path}: protocols.{protocol}")
    return resolved


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task that a name, glob or suite asked for, before it is loaded."""

    name: str
    options: Mapping[str, Any]
    """What a suite says beside the name: protocol, shots, limit, sample."""
    suite: str | None = None
    average: bool = True
    """Whether it counts in the suite's average."""
    may_be_missing: bool = False
    """Whether the others run where its data are missing: so in a suite with a layout, whose table says why."""


SUITE_KEYS = ("protocol", "shots", "limit", "sample", "method")


def expand(patterns: Sequence[str], include: Sequence[Path] = ()) -> list[Wanted]:
    """The tasks that names, globs, paths and suites mean, in order, each once.

    Raises:
        UsageError: a pattern fits nothing.
        DataError: a suite is malformed.
    """
    wanted: list[Wanted] = []
    for pattern in patterns:
        stem, slash, subset = ("", "", "") if pattern.endswith((".yaml", ".yml")) else pattern.partition("/")
        for name, path in find(stem or pattern, include):
            values = read_yaml(path)
            if "suite" in values:
                wanted += _members(parse_options(SuiteDefinition, values, str(path)), path)
            else:
                wanted.append(Wanted(str(path) if not stem else name + slash + subset, {}))
    unique = {(item.name, str(sorted(item.options.items()))): item for item in wanted}
    return list(unique.values())


def suites_in(patterns: Sequence[str], include: Sequence[Path] = ()) -> list[SuiteDefinition]:
    """The suites among what names, globs and paths mean, in order, each once.

    Raises:
        UsageError: a pattern fits nothing.
        DataError: a suite is malformed.
    """
    found: dict[Path, SuiteDefinition] = {}
    for pattern in patterns:
        stem = pattern if pattern.endswith((".yaml", ".yml")) else pattern.partition("/")[0]
        for _, path in find(stem or pattern, include):
            values = read_yaml(path)
            if "suite" in values:
                found[path] = parse_options(SuiteDefinition, values, str(path))
    return list(found.values())


def _members(suite: SuiteDefinition, path: Path) -> list[Wanted]:
    members = []
    for entry in suite.entries:
        options = {"task": entry} if isinstance(entry, str) else dict(entry)
        name, average = options.pop("task", None), options.pop("average", True)
        if not isinstance(name, str):
            raise DataError(f"{path}: tasks: each entry is a name or a mapping with the key 'task'.")
        for key in options:
            if key not in SUITE_KEYS:
                raise DataError(f"{path}: tasks: {name}: unknown key '{key}'; {nearest(key, [*SUITE_KEYS, 'average'])}")
        if not isinstance(average, bool):
            raise DataError(f"{path}: tasks: {name}: average is true or false, not {average!r}.")
        laid_out = bool(suite.layout)  # the table of a layout has averages of its own
        members.append(Wanted(name, options, suite.suite, average and not laid_out, may_be_missing=laid_out))
    return members
