"""A gate's result as lines for a terminal, Markdown, JSON, JUnit XML, and GitHub's annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from evalharness.comparison.compare_formats import facts
from evalharness.comparison.gate import GateResult, TaskVerdict
from evalharness.comparison.plan import PlannedTask
from evalharness.comparison.wording import ids, number, signed, unsigned
from evalharness.text_table import columns, markdown_table

HEAD = ("task", "verdict", "metric", "baseline", "candidate", "gain", "bounds", "margin", "n", "why")
MARKS = {"ok": "ok", "worse": "WORSE", "inconclusive": "inconclusive", "not comparable": "NOT COMPARABLE",
         "broken": "BROKEN"}  # fmt: skip


def text(result: GateResult) -> list[str]:
    """A table, the notes, and the conclusion."""
    lines = columns([HEAD, *(_row(verdict) for verdict in result.verdicts)])
    for verdict in result.verdicts:
        lines += [f"{verdict.task}: note: {note}" for note in verdict.notes]
        if verdict.verdict == "worse" and verdict.difference:
            lines.append(f"{verdict.task}: worse on {ids(verdict.difference.worse)}")
    return [*lines, conclusion(result)]


def conclusion(result: GateResult) -> str:
    """One sentence: the verdict, and the tasks that it comes from."""
    grave = [verdict.task for verdict in result.verdicts if verdict.verdict == result.verdict]
    look = f" (look {result.look}, alpha {result.alpha:.3g})" if result.look else ""
    if result.verdict == "ok":
        return f"gate {result.gate}: ok: no task is worse by its margin{look}"
    return f"gate {result.gate}: {result.verdict}: {', '.join(grave)}{look}"


def markdown(result: GateResult) -> list[str]:
    """For a pull request or a step's summary."""
    notes = [f"- {verdict.task}: {note}" for verdict in result.verdicts for note in verdict.notes]
    table = markdown_table([HEAD, *(_row(verdict) for verdict in result.verdicts)])
    return [f"### {conclusion(result)}", "", *table, *([""] if notes else []), *notes]


def _row(verdict: TaskVerdict) -> tuple[str, ...]:
    found = verdict.difference
    if found is None:
        return (verdict.task, MARKS[verdict.verdict], verdict.metric, *("" for _ in range(6)), verdict.reason)
    return (
        verdict.task,
        MARKS[verdict.verdict],
        f"{found.metric} {'↑' if found.higher_is_better else '↓'}",
        number(found.baseline),
        number(found.candidate),
        signed(found.gain, found),
        f"{signed(verdict.lower, found)} to {signed(verdict.upper, found)}" if verdict.upper is not None else "",
        unsigned(verdict.margin, found),
        str(found.n),
        verdict.reason,
    )


def as_json(result: GateResult, *, strict: bool) -> dict[str, Any]:
    return {
        "gate": result.gate,
        "verdict": result.verdict,
        "exit_code": result.exit_code(strict=strict),
        "look": result.look,
        "alpha": result.alpha,
        "conclusion": conclusion(result),
        "tasks": [
            {
                "task": verdict.task,
                "verdict": verdict.verdict,
                "reason": verdict.reason,
                "model": verdict.model,
                "margin": verdict.margin,
                "lower": verdict.lower,
                "upper": verdict.upper,
                "alpha": verdict.alpha,
                "notes": list(verdict.notes),
                **(facts(verdict.difference) if verdict.difference else {}),
                "flipped_to_worse": list(verdict.difference.worse) if verdict.difference else [],
                "flipped_to_better": list(verdict.difference.better) if verdict.difference else [],
            }
            for verdict in result.verdicts
        ],
    }


def junit(result: GateResult, *, strict: bool) -> str:
    """JUnit XML, one case a task: a regression is a failure; what could not be judged is an error."""
    suite = ElementTree.Element("testsuite", name=f"evalharness gate {result.gate}", tests=str(len(result.verdicts)))
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for verdict in result.verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname=f"gate.{result.gate}", name=verdict.task)
        kind = _junit_kind(verdict, strict)
        if kind:
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            ElementTree.SubElement(case, kind, message=_clean(verdict.reason), type=verdict.verdict).text = _clean(
                told(verdict)
            )
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_kind(verdict: TaskVerdict, strict: bool) -> str | None:
    if verdict.verdict == "ok":
        return None
    if verdict.verdict == "worse":
        return "failure"
    if verdict.verdict == "inconclusive":
        return "failure" if strict else "skipped"
    return "error"


def _clean(said: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(letter for letter in said if letter in "\t\n" or letter >= " ")


def told(verdict: TaskVerdict) -> str:
    """A verdict in a few lines: gain, bounds, p, flips."""
    found = verdict.difference
    lines = [f"{verdict.task}: {verdict.verdict}: {verdict.reason}"]
    if found is not None:
        lines += [
            f"{found.metric}: baseline {number(found.baseline)}, candidate {number(found.candidate)}, "
            f"gain {signed(found.gain, found)}, margin {unsigned(verdict.margin, found)}, n {found.n}",
            f"bounds of the gain: {signed(verdict.lower, found)} to {signed(verdict.upper, found)}; "
            f"p of no difference {number(found.p_value)} ({found.test})",
            f"{len(found.worse)} samples worse: {ids(found.worse)}",
            f"{len(found.better)} samples better: {ids(found.better)}",
        ]
    return "\n".join([*lines, *(f"note: {note}" for note in verdict.notes)])


def github_annotations(result: GateResult, *, strict: bool, file: str) -> list[str]:
    """GitHub's workflow commands, one a task that is not ok; `file` is where the annotation stands."""
    lines = []
    for verdict in result.verdicts:
        if verdict.verdict == "ok":
            continue
        level = "warning" if verdict.verdict == "inconclusive" and not strict else "error"
        title = _property(f"{verdict.task}: {verdict.verdict}")
        lines.append(f"::{level} file={_property(file)},title={title}::{_data(told(verdict))}")
    return lines


def _data(said: str) -> str:
    return said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(said: str) -> str:
    return _data(said).replace(":", "%3A").replace(",", "%2C")


def plan_text(planned: Sequence[PlannedTask]) -> list[str]:
    """What a gate can see, as a table."""
    rows = [("task", "metric", "n", "margin", "drop seen", "unchanged passes", "n needed", "assumed")]
    for task in planned:
        rows.append(
            (
                task.task,
                task.metric,
                str(task.n),
                number(task.margin),
                number(task.seen),
                "-" if task.passes is None else f"{task.passes:.0%}",
                "-" if task.needed is None else str(task.needed),
                task.assumed,
            )
        )
    return columns(rows)
