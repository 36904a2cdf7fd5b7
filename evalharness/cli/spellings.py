"""Sentences for options that are unknown here: the nearest of ours, or what to type for lm-eval's."""

from __future__ import annotations

import click

from evalharness.errors import nearest

_LM_EVAL = {
    "--tasks": "--task NAME, once for each task",
    "--model_args": "--model PATH, with --dtype, --revision, --max-length as options of their own",
    "--num_fewshot": "--shots N",
    "--batch_size": "--batch-tokens N (batches are cut by tokens here)",
    "--output_path": "--output DIR",
    "--log_samples": "nothing: samples.jsonl is always written",
    "--apply_chat_template": "--chat",
    "--fewshot_as_multiturn": "nothing: --chat always makes turns of the demonstrations",
    "--system_instruction": "--system-prompt TEXT",
    "--gen_kwargs": "--set decode.temperature=0.7, one --set for each key",
    "--use_cache": "nothing: an unfinished run goes on from its journal",
    "--include_path": "--include DIR",
    "--max_batch_size": "--batch-tokens N",
    "--write_out": "evalharness tasks show NAME",
    "--verbosity": "--quiet or --debug",
    "--trust_remote_code": "nothing: no code from a hub is run",
    "--check_integrity": "nothing: task files are checked whenever they are read",
}
LM_EVAL_MODELS = ("hf", "vllm", "local-completions", "local-chat-completions", "openai-completions", "gguf")


def explained(error: click.ClickException) -> str:
    """The sentence for a command line that does not parse."""
    if isinstance(error, click.NoSuchOption):
        option = error.option_name
        for name in (option, option.replace("-", "_").replace("__", "--", 1)):
            if name in _LM_EVAL:
                return f"{option} is lm-eval's spelling; here it is {_LM_EVAL[name]}."
        known = [name for parameter in (error.ctx.command.params if error.ctx else []) for name in parameter.opts]
        return f"unknown option {option}; {nearest(option, known)}"
    message = error.format_message().rstrip(".")
    command = f" (evalharness {error.ctx.info_name} --help shows every option)" if _context(error) else ""
    return f"{message}{command}."


def _context(error: click.ClickException) -> bool:
    context = getattr(error, "ctx", None)
    return context is not None and context.parent is not None


def lm_eval_model(spec: str) -> str | None:
    """A sentence for `--model hf` and the like: lm-eval names a kind there, we name the model."""
    if spec not in LM_EVAL_MODELS:
        return None
    return (
        f"--model {spec} is lm-eval's spelling, which names a kind of model; here --model names the model itself: "
        "--model PATH for a checkpoint folder or GGUF file, --model smollm2 for the embedded one."
    )
