"""`evalharness run`: measure models on tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Measure one or more models on one or more tasks."

app = typer.Typer(help=HELP)

_ASK, _MODEL, _COMPUTE, _OUT = "What is asked", "The model", "Computing", "Output"


@app.command(help=HELP)
def run(
    task: Annotated[list[str] | None, typer.Option(
        "--task", "-t", help="Name, glob, suite or YAML file; mmlu/astronomy is one subset. Repeatable.",
        rich_help_panel=_ASK)] = None,
    model: Annotated[list[str] | None, typer.Option(
        "--model", "-m", help="smollm2 (the embedded default), a checkpoint folder or GGUF file, hf:PATH, vllm:PATH, "
        "openai:URL#NAME, litellm:NAME, replay:FILE (docs/models.md). Repeatable.", rich_help_panel=_MODEL)] = None,
    protocol: Annotated[str | None, typer.Option(help="One of the task's protocols.", rich_help_panel=_ASK)] = None,
    shots: Annotated[int | None, typer.Option(
        help="Demonstrations before each question.", rich_help_panel=_ASK)] = None,
    method: Annotated[str | None, typer.Option(
        help="direct, few_shot, chain_of_thought, zero_shot_chain_of_thought, self_consistency, ...",
        rich_help_panel=_ASK)] = None,
    limit: Annotated[int | None, typer.Option(help="The first n samples.", rich_help_panel=_ASK)] = None,
    sample: Annotated[int | None, typer.Option(
        help="n samples drawn by the seed, stratified by subset.", rich_help_panel=_ASK)] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every draw (0).", rich_help_panel=_ASK)] = None,
    repeats: Annotated[int | None, typer.Option(
        help="How often each sample is elicited.", rich_help_panel=_ASK)] = None,
    reducer: Annotated[str | None, typer.Option(
        help="How repeats become one score: mean, majority, pass@k, pass^k.", rich_help_panel=_ASK)] = None,
    settings: Annotated[list[str] | None, typer.Option(
        "--set", help="A change to the definition: decode.temperature=0.7. Repeatable.", rich_help_panel=_ASK)] = None,
    perturb: Annotated[list[str] | None, typer.Option(
        help="Also run a variant whose questions are perturbed: typos, case:to=upper, spacing, wording, option_order "
        "(docs/perturbations.md). Repeatable.", rich_help_panel=_ASK)] = None,
    chat: Annotated[bool | None, typer.Option(
        "--chat/--plain", help="Render prompts with the model's own chat template.", rich_help_panel=_ASK)] = None,
    system_prompt: Annotated[str | None, typer.Option(help="Put before everything else.", rich_help_panel=_ASK)] = None,
    include: Annotated[list[Path] | None, typer.Option(
        help="A folder with task files of your own. Repeatable.", rich_help_panel=_ASK)] = None,
    trust_code: Annotated[bool | None, typer.Option(
        "--trust-code", help="Run the components.py of --include folders (parsers, metrics, methods of your own).",
        rich_help_panel=_ASK)] = None,
    data_dir: Annotated[Path | None, typer.Option(
        help="A mirror of data sets (docs/data.md), tried before the hub.", rich_help_panel=_ASK)] = None,
    allow_demo: Annotated[bool | None, typer.Option(
        "--allow-demo", help="Let a bundled sample stand in for a benchmark that no source has.",
        rich_help_panel=_ASK)] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.", rich_help_panel=_MODEL)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...", rich_help_panel=_MODEL)] = None,
    weights: Annotated[str | None, typer.Option(
        help="int8 or int4: weights made small as they are read, for models of the stack (docs/models.md).",
        rich_help_panel=_MODEL)] = None,
    max_length: Annotated[int | None, typer.Option(
        help="Longest sequence of tokens, below the model's own limit.", rich_help_panel=_MODEL)] = None,
    tokenizer: Annotated[str | None, typer.Option(
        help="A tokenizer other than the model's own.", rich_help_panel=_MODEL)] = None,
    revision: Annotated[str | None, typer.Option(help="Of a model on the hub.", rich_help_panel=_MODEL)] = None,
    adapter: Annotated[str | None, typer.Option(
        help="A PEFT adapter: a folder (hf:, vllm:; of models of the stack LoRA).", rich_help_panel=_MODEL)] = None,
    reasoning: Annotated[str | None, typer.Option(
        help="How thoughts are told from answers: think (<think> tags), thinking, reasoning, thought, or field where a "
        "server does it.", rich_help_panel=_MODEL)] = None,
    model_settings: Annotated[list[str] | None, typer.Option(
        "--model-option", help="A further option of this kind of model: concurrency=8, api=chat, device_map=auto. "
        "Repeatable.", rich_help_panel=_MODEL)] = None,
    judge_model: Annotated[str | None, typer.Option(
        help="The model that judges, for tasks that are judged by one (docs/judges.md); takes what --model takes.",
        rich_help_panel=_MODEL)] = None,
    judge_settings: Annotated[list[str] | None, typer.Option(
        "--judge-option", help="An option of the judge model: max_cost=5, dtype=bfloat16. Repeatable.",
        rich_help_panel=_MODEL)] = None,
    batch_tokens: Annotated[int | None, typer.Option(
        help="Tokens that are computed together.", rich_help_panel=_COMPUTE)] = None,
    numerics: Annotated[str | None, typer.Option(
        help="exact (the same bits whatever is computed together; the default for scores on a CPU) or fast.",
        rich_help_panel=_COMPUTE)] = None,
    kv_memory: Annotated[float | None, typer.Option(
        help="GiB that keys and values may take (a quarter of what is free).", rich_help_panel=_COMPUTE)] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads.", rich_help_panel=_COMPUTE)] = None,
    time_limit: Annotated[float | None, typer.Option(
        help="Seconds that one request may be in service.", rich_help_panel=_COMPUTE)] = None,
    max_tokens_total: Annotated[int | None, typer.Option(
        help="Tokens that may be spent at a server.", rich_help_panel=_COMPUTE)] = None,
    max_cost: Annotated[float | None, typer.Option(
        help="US dollars that may be spent at a server.", rich_help_panel=_COMPUTE)] = None,
    cache: Annotated[Path | None, typer.Option(
        help="Keep answers, and ask only what has not been asked; a folder, or ~/.cache/evalharness without one.",
        rich_help_panel=_COMPUTE)] = None,
    executor: Annotated[str | None, typer.Option(
        help="local, process (several copies of the model on this machine) or ray.", rich_help_panel=_COMPUTE)] = None,
    workers: Annotated[int | None, typer.Option(
        help="Copies of the model (one for each GPU, or core).", rich_help_panel=_COMPUTE)] = None,
    ray_address: Annotated[str | None, typer.Option(
        help="A Ray cluster, as ray.init takes it.", rich_help_panel=_COMPUTE)] = None,
    sandbox: Annotated[str | None, typer.Option(
        help="Isolation of executed programs: auto (the best that works here), bwrap, landlock or container.",
        rich_help_panel=_COMPUTE)] = None,
    allow_unsafe_execution: Annotated[bool | None, typer.Option(
        "--allow-unsafe-execution", help="Let model-written programs run WITHOUT isolation where no level of it works.",
        rich_help_panel=_COMPUTE)] = None,
    sandbox_python: Annotated[Path | None, typer.Option(
        help="The interpreter of executed programs.", rich_help_panel=_COMPUTE)] = None,
    sandbox_image: Annotated[str | None, typer.Option(
        help="The image, for --sandbox container.", rich_help_panel=_COMPUTE)] = None,
    max_errors: Annotated[float | None, typer.Option(
        help="Share of samples that may fail before the run does (0.05).", rich_help_panel=_COMPUTE)] = None,
    resume: Annotated[bool | None, typer.Option(
        "--resume/--no-resume", help="Go on with an unfinished run of the same settings (the default).",
        rich_help_panel=_COMPUTE)] = None,
    config: Annotated[Path | None, typer.Option(
        help="A YAML file with any of these options; the command line wins.", rich_help_panel=_ASK)] = None,
    from_run: Annotated[Path | None, typer.Option(
        "--from", help="A run's folder: the same request again; the command line wins.", rich_help_panel=_ASK)] = None,
    output: Annotated[Path | None, typer.Option(
        help="The run's folder, in place of runs/<date>-<task>-<model>-<hash>.", rich_help_panel=_OUT)] = None,
    explain_engine: Annotated[bool, typer.Option(
        "--explain-engine", help="Draw the prefix tree of our own engine: depth, sharing, where the time went.",
        rich_help_panel=_OUT)] = False,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Count requests and tokens, estimate the time, run nothing.", rich_help_panel=_OUT)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=_OUT)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_OUT)] = False,
) -> None:  # fmt: skip
    given = {
        key: value
        for key, value in locals().items()
        if value is not None
        and key
        not in (
            "settings",
            "model_settings",
            "judge_settings",
            "config",
            "from_run",
            "explain_engine",
            "dry_run",
            "as_json",
            "quiet",
        )
    }
    from evalharness.cli.printing import Reporter
    from evalharness.cli.request import request
    from evalharness.run import runner
    from evalharness.run.progress import choose

    options = request(given, settings or [], config, from_run, model_settings or [], judge_settings or [])
    reporter = Reporter(as_json=as_json, quiet=quiet, explain_engine=explain_engine)
    reporter.begin(options)
    try:
        if dry_run:
            from evalharness.run.dry_run import dry_run as estimate

            reporter.estimates(estimate(options, reporter.leave_out))
        else:
            try:
                runner.run(
                    options,
                    progress=choose(quiet=quiet),
                    report=reporter.finished,
                    leave_out=reporter.leave_out,
                )
            finally:
                reporter.end()  # what finished is told, whatever became of the rest
    except KeyboardInterrupt as interruption:
        # One without a sentence came before the first request (an `InterruptedRun` brings its own).
        reporter.interrupted(str(interruption) or "interrupted: nothing had been asked yet.")
        raise typer.Exit(130) from None
