"""What a run says: a first line, a block for each finished cell, a table where there are several; or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from evalharness.cli.engine_tree import picture
from evalharness.records.folder import Run
from evalharness.records.run import RepeatsRecord, ResultsRecord, ScoreRecord, protocol_of
from evalharness.run.options import DEFAULT_MODEL, RunOptions
from evalharness.text_table import columns

if TYPE_CHECKING:
    from evalharness.run.dry_run import Estimate
    from evalharness.run.plan import LeftOut
    from evalharness.run.suite_tables import SuiteTable
    from evalharness.run.suites import SuiteAverage


class Reporter:
    """Prints as things happen. With JSON, standard output holds the JSON alone."""

    def __init__(self, *, as_json: bool, quiet: bool, explain_engine: bool = False) -> None:
        self._json = as_json
        self._quiet = quiet
        self._explain_engine = explain_engine
        self._runs: list[tuple[Run, ResultsRecord]] = []
        self._left_out: list[LeftOut] = []

    def begin(self, options: RunOptions) -> None:
        self._options = options
        if options.allow_unsafe_execution:
            typer.secho(
                "--allow-unsafe-execution: where no isolation works, model-written programs run as you, with your "
                "files and your network",
                err=True,
                bold=True,
            )
        if not self._quiet and "model" not in options.model_fields_set:
            typer.echo(f"no --model given: {DEFAULT_MODEL}, the embedded SmolLM2-135M-Instruct, is measured", err=True)

    def finished(self, run: Run, results: ResultsRecord) -> None:
        self._runs.append((run, results))
        drawn = []
        if self._explain_engine:
            drawn = picture(results) or ["the engine computed nothing: what is in the record was there, or elsewhere"]
            run.write_text("engine.txt", "\n".join(drawn) + "\n")
        if not self._json:
            for line in block(run, results) + [f"  {line}" for line in drawn]:
                typer.echo(line)

    def leave_out(self, left: LeftOut) -> None:
        self._left_out.append(left)
        if not self._quiet:
            typer.echo(f"left out: {left.wanted.name}: {left.why}", err=True)

    def _tables(self) -> list[SuiteTable]:
        """Of the suites with a layout that were asked for."""
        from evalharness.run.suite_tables import reasons, suite_table
        from evalharness.tasks.task import suites_in

        suites = [suite for suite in suites_in(self._options.task, self._options.include) if suite.layout]
        runs = [run for run, _ in self._runs]
        return [suite_table(suite, runs, reasons(self._left_out)) for suite in suites]

    def end(self) -> None:
        if not self._runs:
            return
        from evalharness.cli.suite_view import table_json, table_lines
        from evalharness.run.suites import averages

        suites = averages(self._options, self._runs)
        tables = self._tables()
        if self._json:
            told = [as_json(run, results) for run, results in self._runs] + [asdict(average) for average in suites]
            told += [table_json(table) for table in tables]
            typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        elif len(self._runs) > 1 or suites or tables:
            rows = [("task", "protocol", "model", "metric", "score", "n")]
            for run, results in self._runs:
                label, score = next(iter(results.scores.items()))
                record = run.record
                name = str(record.model["name"])
                rows.append((record.task, protocol_of(record), name, label, shown(score), str(score.n)))
            for average in suites:
                rows.append((average.suite, "", average.model, f"average of {len(average.parts)}", *averaged(average)))
            for line in columns(rows) + [line for table in tables for line in table_lines(table)]:
                typer.echo(line)

    def interrupted(self, sentence: str) -> None:
        typer.echo(f"evalharness: {sentence}", err=True)

    def estimates(self, estimates: Sequence[Estimate]) -> None:
        if self._json:
            typer.echo(json.dumps([asdict(estimate) for estimate in estimates], ensure_ascii=False, indent=1))
            return
        for found in estimates:
            more = " at least (later requests depend on answers)" if found.open_ended else ""
            more = " at most (a loop may end early)" if found.loops else more
            typer.secho(f"{found.task} · {found.protocol} · {found.model}", bold=True)
            typer.echo(f"  {found.samples} samples, {found.requests:,} requests{more}")
            typer.echo(
                f"  {found.prompt_tokens:,} prompt tokens ({found.distinct_tokens:,} distinct), "
                f"at most {found.max_generated_tokens:,} generated"
            )
            if found.judge_requests:
                typer.echo(f"  {found.judge_requests:,} requests to the judge model")
            if found.seconds is not None:
                typer.echo(f"  about {duration(found.seconds)} ({found.measured_on})")


def block(run: Run, results: ResultsRecord) -> list[str]:
    """The summary of one run: score, interval, n of N, what stands beside it, cost, place."""
    record = run.record
    lines = [typer.style(f"{record.task} · {protocol_of(record)} · {record.model['name']}", bold=True)]
    width = max(len(label) for label in results.scores)
    for label, score in results.scores.items():
        lines.append(f"  {label:<{width}}  {shown(score)}   {_n_of(score, results)}")
        if score.repeats is not None and score.repeats.share is not None:
            lines.append(f"  {'':<{width}}  {repeats_line(score.repeats)}")
    for name, table in results.groups.items():
        label, score = next(iter(table.items()))
        lines.append(f"    {name:<24} {label} {shown(score)}   n {score.n}")
    lines.append("  " + "   ".join(f"{flag} {count}" for flag, count in results.counts.items()))
    for judge, labels in results.verdicts.items():
        lines.append(f"  {judge}: " + "   ".join(f"{label} {count:,}" for label, count in labels.items()))
    usage = results.usage
    lines.append(
        f"  {usage.get('requests', 0):,} requests   {usage.get('prompt_tokens', 0):,} prompt tokens "
        f"({usage.get('distinct_tokens', 0):,} distinct)   {usage.get('generated_tokens', 0):,} generated   "
        f"{duration(results.seconds)}"
    )
    if record.judge:
        lines.append(f"  {judge_line(record.judge, usage)}")
    if results.engine:
        lines.append(f"  {engine_line(results.engine, usage.get('distinct_tokens', 0))}")
    if results.spent:
        lines.append(f"  {spent_line(results.spent)}")
    if record.sandbox and not record.sandbox["isolated"]:
        lines.append("  programs ran WITHOUT ISOLATION")
    if results.note:
        lines.append(f"  note: {results.note}")
    lines.append(f"  {run.path}")
    return lines


def judge_line(judge: Mapping[str, Any], usage: Mapping[str, int]) -> str:
    """Which model judged, and what it was asked for."""
    asked, read, written = (usage.get(f"judge_{key}", 0) for key in ("requests", "prompt_tokens", "generated_tokens"))
    return f"judge: {judge['name']}, {asked:,} requests   {read:,} prompt tokens   {written:,} generated"


def engine_line(engine: Mapping[str, float], bound: int) -> str:
    """What our own engine computed of what was asked, and what it took."""
    computed = int(engine["tokens_computed"])
    parts = [f"computed {computed:,} of {int(engine['tokens_requested']):,} prompt tokens"]
    if bound:
        parts[0] += f" ({computed / bound:.2f} x the distinct ones)"
    if engine.get("prefill_tokens_per_second"):
        parts.append(f"{engine['prefill_tokens_per_second']:,.0f} a second")
    if engine["tokens_decoded"]:
        rate = engine.get("decode_tokens_per_second")  # of several workers nobody knows it
        parts.append(f"decoded {int(engine['tokens_decoded']):,}" + (f", {rate:,.0f} a second" if rate else ""))
    if engine.get("wrong_guesses"):
        parts.append(f"{int(engine['wrong_guesses']):,} rows guessed in vain")
    parts.append(f"{int(engine['padding_rows']):,} padding rows")
    parts.append(f"keys and values {engine['peak_kv_bytes'] / 2**20:,.0f} MiB at most")
    return "engine: " + ", ".join(parts)


def repeats_line(repeats: RepeatsRecord) -> str:
    """What the repeats of a metric say: pass@k where it knows right and wrong, and their part of the error."""
    told = f"over {repeats.repeats:g} repeats: {repeats.share:.0%} of the error's square comes from them"
    if repeats.pass_at:
        most = len(repeats.pass_at)
        told += f", pass@{most} {repeats.pass_at[-1]:.4g}, pass^{most} {repeats.pass_all[-1]:.4g}"
    return told


def spent_line(spent: Mapping[str, float]) -> str:
    """What a server was asked and was paid, and what a cache saved."""
    parts = []
    if "requests" in spent:
        parts.append(f"server: {int(spent['requests']):,} requests")
        parts += [f"{int(spent[key]):,} {said}" for key, said in _SPENT.items() if spent.get(key)]
    if spent.get("cost"):
        parts.append(f"${spent['cost']:.4f}")
    if "cache_hits" in spent:
        parts.append(f"cache: {int(spent['cache_hits']):,} answered, {int(spent['cache_misses']):,} asked")
    return ", ".join(parts)


_SPENT = {
    "attempts_again": "asked again",
    "refusals": "refused as too many",
    "prompt_tokens": "tokens read",
    "completion_tokens": "written",
    "reasoning_tokens": "of them thought",
}


def shown(score: ScoreRecord) -> str:
    """``0.413 [0.362, 0.466] (95 % Wilson)``."""
    if score.value is None:
        return "no sample scored"
    if score.low is None or score.high is None:
        return f"{score.value:.4g} (too few samples for an interval)"
    interval = "Wilson" if score.interval == "wilson" else score.interval
    return f"{score.value:.4g} [{score.low:.4g}, {score.high:.4g}] (95 % {interval})"


def averaged(average: SuiteAverage) -> tuple[str, str]:
    """The cells of a suite's average: the score with its interval, or none and what is missing."""
    if average.value is None:
        return "", f"missing: {', '.join(average.missing)}"
    if average.low is None or average.high is None:
        return f"{average.value:.4g}", ""
    return f"{average.value:.4g} [{average.low:.4g}, {average.high:.4g}] (95 % normal)", ""


def _n_of(score: ScoreRecord, results: ResultsRecord) -> str:
    return f"{score.n} of {results.of if results.of is not None else 'an unknown number of'} samples"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def as_json(run: Run, results: ResultsRecord) -> dict[str, Any]:
    record = run.record
    return {
        "run": record.id,
        "path": str(run.path),
        "task": record.task,
        "protocol": record.protocol,
        "model": record.model["name"],
        "state": record.state,
        "hashes": record.hashes,
        **results.model_dump(mode="json", exclude={"format", "run"}),
    }
