"""results.json from the journal alone: a run, a resumed run and a re-scored run take this one path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evalharness.records.encode import FLAGS
from evalharness.records.run import ResultsRecord, ScoreRecord, repeats_record, score_record
from evalharness.run.plan import Cell
from evalharness.scoring.base import Metric
from evalharness.tasks.task import Task

DEMO_NOTE = "a bundled sample, not the benchmark: it compares with nothing"


class _Column:
    """Values and weights of one metric, and which samples go together."""

    __slots__ = ("clusters", "parts", "repeats", "subsets", "values", "weights")

    def __init__(self) -> None:
        self.values: list[float] = []
        self.weights: list[float] = []
        self.clusters: list[str] = []
        self.subsets: list[str | None] = []
        self.parts: list[Sequence[float]] = []
        """Of a metric of the corpus, each sample's counts."""
        self.repeats: list[list[float]] = []
        """Of the samples that have several, each one's values."""

    def record(self, metric: Metric) -> ScoreRecord:
        return score_record(
            self.values,
            self.weights,
            self.clusters,
            aggregate=metric.aggregate,
            higher_is_better=metric.higher_is_better,
            parts=self.parts,
            subsets=self.subsets,
        ).model_copy(
            update={
                "repeats": repeats_record(self.repeats) if metric.reducer in (None, "mean") else None,
                "signature": metric.signature,
            }
        )


_Table = dict[str, _Column]


def summarise(
    cell_name: str,
    task: Task,
    lines: Iterable[Mapping[str, Any]],
    *,
    run: str,
    of: int | None,
    usage: Mapping[str, int],
    seconds: float,
    demo: bool = False,
) -> ResultsRecord:
    """Scores with intervals, whole and by subset and group, and what stands beside them."""
    counts: Counter[str] = Counter()
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    whole: _Table = defaultdict(_Column)
    subsets: dict[str, _Table] = defaultdict(lambda: defaultdict(_Column))
    groups: dict[str, _Table] = defaultdict(lambda: defaultdict(_Column))
    samples = 0
    for line in lines:
        samples += 1
        counts.update(line["flags"])
        for repeat in line["repeats"]:
            for verdict in repeat.get("verdicts", ()):
                verdicts[verdict["judge"]][verdict["label"]] += 1
        tables = [whole]
        if (subset := line.get("subset")) is not None:
            tables += [subsets[subset], groups[task.group_of(subset)]]
        for label, value in line["scores"].items():
            if value is None:
                continue
            weight = line.get("weights", {}).get(label, 1.0)
            for table in tables:
                table[label].values.append(value)
                table[label].weights.append(weight)
                table[label].clusters.append(line.get("cluster") or line["id"])
                table[label].subsets.append(subset)
                if label in line.get("parts", {}):
                    table[label].parts.append(line["parts"][label])
            if len(line["repeats"]) > 1:
                values = [repeat["scores"][label] for repeat in line["repeats"] if label in repeat["scores"]]
                whole[label].repeats.append(values)
    return ResultsRecord(
        run=run,
        scores=_records(task, whole),
        subsets={name: _records(task, table) for name, table in sorted(subsets.items())} if len(subsets) > 1 else {},
        groups={name: _records(task, table) for name, table in groups.items()} if len(groups) > 1 else {},
        samples=samples,
        of=of,
        counts={flag: counts[flag] for flag in FLAGS},
        verdicts={judge: dict(labels.most_common()) for judge, labels in sorted(verdicts.items())},
        usage=dict(usage),
        seconds=round(seconds, 3),
        note=f"{cell_name}: {DEMO_NOTE}" if demo else None,
    )


def _records(task: Task, table: _Table) -> dict[str, ScoreRecord]:
    return {metric.name: table[metric.name].record(metric) for metric in task.metrics}


def of_cell(
    cell: Cell, lines: Iterable[Mapping[str, Any]], run: str, usage: Mapping[str, int], seconds: float
) -> ResultsRecord:
    """`summarise` for a cell that has just run."""
    return summarise(cell.name, cell.task, lines, run=run, of=cell.of, usage=usage, seconds=seconds, demo=cell.demo)
