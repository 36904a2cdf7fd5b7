"""What a user may ask of a run: the flags of `evalharness run` and the keys of `--config run.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalharness.options import Options

DEFAULT_MODEL = "smollm2"


class RunOptions(Options):
    """One request: every task x model is a cell, and every cell a run."""

    task: tuple[str, ...] = Field(min_length=1)
    """Names, globs, suites, paths of YAML files; ``mmlu/astronomy`` is one subset."""
    model: tuple[str, ...] = (DEFAULT_MODEL,)
    """smollm2, a folder or GGUF file, or BACKEND:WHAT such as hf:PATH, openai:URL#NAME, replay:FILE."""
    protocol: str | None = None
    """One of the task's protocols."""
    shots: int | None = Field(default=None, ge=0)
    """Demonstrations before each question."""
    method: str | None = None
    """How a sample is elicited."""
    limit: int | None = Field(default=None, ge=1)
    """The first n samples."""
    sample: int | None = Field(default=None, ge=1)
    """n samples drawn by the seed, stratified by subset."""
    seed: int = 0
    """Decides every draw: samples, demonstrations, tokens."""
    repeats: int | None = Field(default=None, ge=1)
    """How often each sample is elicited."""
    reducer: str | None = None
    """How repeats become one score: mean, majority, pass@k, pass^k."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes to the definition, nested: {decode: {temperature: 0.7}}."""
    perturb: tuple[str, ...] = ()
    """Perturbations, each run as a variant beside the task itself: ``typos``, ``typos:rate=0.2,seed=1``."""
    chat: bool = False
    """Render prompts with the model's own chat template."""
    system_prompt: str | None = None
    """Put before everything else."""
    dtype: str | None = None
    """Number format of weights and arithmetic: float32, bfloat16, float16."""
    device: str | None = None
    """cpu, cuda, cuda:1, ..."""
    max_length: int | None = Field(default=None, ge=2)
    """Longest sequence of tokens, below the model's own limit."""
    tokenizer: str | None = None
    """A tokenizer other than the model's own: a folder or GGUF file."""
    revision: str | None = None
    """Of a model on the hub."""
    adapter: str | None = None
    """A PEFT adapter: a folder, or a name on the hub."""
    reasoning: str | None = None
    """How thoughts are told from answers: think, thinking, reasoning, thought, or field where a server does it."""
    model_options: dict[str, Any] = Field(default_factory=dict)
    """Further options of this kind of model."""
    judge_model: str | None = None
    """The model that judges, for tasks that are judged by one: what --model takes, the model itself included."""
    judge_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the judge model: max_cost, dtype, concurrency, ..."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens that are computed together."""
    numerics: Literal["exact", "fast"] | None = None
    """exact: the same bits whatever is computed together; fast: the fastest that is right."""
    kv_memory: float | None = Field(default=None, gt=0)
    """GiB that keys and values may take."""
    weights: str | None = None
    """int8 or int4: weights of models of the stack, made small as they are read."""
    threads: int | None = Field(default=None, ge=1)
    """Processor threads."""
    time_limit: float | None = Field(default=None, gt=0)
    """Seconds that one request may be in service."""
    max_tokens_total: int | None = Field(default=None, ge=1)
    """Tokens that may be spent at a server, read and written."""
    max_cost: float | None = Field(default=None, gt=0)
    """US dollars that may be spent at a server."""
    cache: Path | None = None
    """A folder in which answers are kept, and looked up before a model is asked."""
    executor: Literal["local", "process", "ray"] = "local"
    """Where models compute: in this process, in several of this machine, on a Ray cluster."""
    workers: int | None = Field(default=None, ge=1)
    """Copies of the model, where the executor has several: one for each GPU, or core, unless told otherwise."""
    ray_address: str | None = None
    """The cluster's, as ray.init takes it."""
    sandbox: str = "auto"
    """Isolation of executed programs: auto (the best that works here), or a level by name (docs/code.md)."""
    allow_unsafe_execution: bool = False
    """Let programs run without isolation where no level of it works."""
    sandbox_python: Path | None = None
    """The interpreter of executed programs, in place of the one that runs this."""
    sandbox_image: str | None = None
    """The image, for the level container."""
    max_errors: float = Field(default=0.05, ge=0, le=1)
    """Share of samples that may fail before the run does."""
    data_dir: Path | None = None
    """A mirror of data sets (docs/data.md)."""
    allow_demo: bool = False
    """Let a bundled sample stand in for a benchmark that no source has."""
    include: tuple[Path, ...] = ()
    """Folders with task files of your own."""
    trust_code: bool = False
    """Run the components.py of those folders: parsers, metrics, methods of your own."""
    output: Path | None = None
    """The run's folder, in place of runs/<date>-<task>-<model>-<hash>."""
    resume: bool = True
    """Go on with an unfinished run of the same settings."""
