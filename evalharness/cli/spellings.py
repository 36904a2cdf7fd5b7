"""Sentences for options that are unknown here: the nearest of ours, or what to type for lm-eval's."""

from __future__ import annotations

from typing import Any

import typer

from evalharness.errors import nearest

_LM_EVAL = {
    "--tasks": "--task NAME, once for each task",
    "--model_args": "--model hf:PATH, with --dtype, --revision, --max-length, --adapter as options of their own, and "
    "--model-option NAME=VALUE for what else a kind of model knows",
    "--num_fewshot": "--shots N",
    "--batch_size": "--batch-tokens N (batches are cut by tokens here)",
    "--output_path": "--output DIR",
    "--log_samples": "nothing: samples.jsonl is always written",
    "--apply_chat_template": "--chat",
    "--fewshot_as_multiturn": "nothing: --chat always makes turns of the demonstrations",
    "--system_instruction": "--system-prompt TEXT",
    "--gen_kwargs": "--set decode.temperature=0.7, one --set for each key",
    "--use_cache": "--cache DIR (and an unfinished run goes on from its journal without one)",
    "--include_path": "--include DIR",
    "--max_batch_size": "--batch-tokens N",
    "--write_out": "evalharness tasks show NAME",
    "--verbosity": "--quiet or --debug",
    "--trust_remote_code": "--model-option trust_remote_code=true, with --model hf:NAME",
    "--check_integrity": "nothing: task files are checked whenever they are read",
}
LM_EVAL_MODELS = {
    "hf": "hf:PATH for the library transformers, or PATH for our own stack",
    "vllm": "vllm:PATH",
    "local-completions": "openai:URL#NAME",
    "local-chat-completions": "openai:URL#NAME with --chat",
    "openai-completions": "openai:NAME",
    "openai-chat-completions": "openai:NAME with --chat",
    "gguf": "FILE.gguf",
}
"""Kinds of models in lm-eval's words, in ours."""


def explained(error: typer.TyperException) -> str:
    """The sentence for a command line that does not parse."""
    context: Any = getattr(error, "ctx", None)
    option: str | None = getattr(error, "option_name", None)
    if option is not None and type(error).__name__ == "NoSuchOption":
        ours = _LM_EVAL.get("--" + option.lstrip("-").replace("-", "_"))
        if ours:
            return f"{option} is lm-eval's spelling; here it is {ours}."
        known = [name for parameter in (context.command.params if context else []) for name in parameter.opts]
        return f"unknown option {option}; {nearest(option, known)}"
    more = (
        ""
        if context is None or context.parent is None
        else f" (evalharness {context.info_name} --help shows every option)"
    )
    return f"{error.format_message().rstrip('.')}{more}."


def lm_eval_model(spec: str) -> str | None:
    """A sentence for `--model hf` and the like: lm-eval names a kind there, we name the model."""
    if spec not in LM_EVAL_MODELS:
        return None
    return (
        f"--model {spec} is lm-eval's spelling, which names a kind of model; here --model names the model itself: "
        f"--model {LM_EVAL_MODELS[spec]}."
    )
