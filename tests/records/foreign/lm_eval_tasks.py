"""Four small tasks of lm-eval's own kinds over rows of our own, and a tiny random checkpoint to run them on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from e2e.tiny_model import _tokenizer

_NOUNS = ("apple", "pear", "plum", "fig", "date", "lime", "kiwi", "nut")
ROWS = [
    {
        "question": f"How many letters has {noun}?",
        "options": [str(len(noun)), str(len(noun) + 1), f"{len(noun) + 2} or more"],
        "right": 0,
        "answer": f"It has {len(noun)}. #### {len(noun)}",
        "text": f"The farmer picked one {noun} and then he ate the {noun}",
        "page": f"= {noun.title()} =\n\nA {noun} is a fruit.  It grows on a tree , or so they say .",
    }
    for noun in _NOUNS
]
SHOWN = [{**row, "question": row["question"].replace("How many", "Count: how many")} for row in reversed(ROWS)]


def task_files(folder: Path) -> Path:
    """The YAML files, with their rows beside them."""
    folder.mkdir(parents=True)
    for name, rows in (("rows", ROWS), ("shown", SHOWN)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {"test": str(folder / "rows.jsonl"), "train": str(folder / "shown.jsonl")}
    base: dict[str, Any] = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "metadata": {"version": 1.0},
    }
    shown = {"fewshot_split": "train", "doc_to_text": "Q: {{question}}\nA:"}
    tasks: dict[str, dict[str, Any]] = {
        "tiny_choice": shown | {
            "output_type": "multiple_choice", "num_fewshot": 2, "description": "Count.\n\n",
            "doc_to_choice": "options", "doc_to_target": "right",
            "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True}
                            for name in ("acc", "acc_norm")],
        },
        "tiny_write": shown | {
            "output_type": "generate_until", "num_fewshot": 1, "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["\n", "Q:"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 12},
            "filter_list": [
                {"name": "strict", "filter": [{"function": "regex", "regex_pattern": "#### ([0-9]+)"},
                                              {"function": "take_first"}]},
                {"name": "loose", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]},
            ],
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True,
                             "regexes_to_ignore": ["(?s).*#### "]}],
        },
        "tiny_last": {
            "output_type": "loglikelihood", "doc_to_text": "{{text.split(' ')[:-1] | join(' ')}}",
            "doc_to_target": "{{' ' + text.split(' ')[-1]}}",
            "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
                            {"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        },
        "tiny_page": {
            "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{page}}",
            "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
        },
    }  # fmt: skip
    (folder / "_base_yaml").write_text(yaml.safe_dump(base))
    for name, keys in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"include": "_base_yaml", "task": name, **keys}))
    return folder


TASKS = ("tiny_choice", "tiny_write", "tiny_last", "tiny_page")


def tiny_checkpoint(folder: Path) -> Path:
    """Random weights, a token a byte."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=257, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=256, bos_token_id=None, initializer_range=0.1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def run_lm_eval(tasks: Path, checkpoint: Path, output: Path) -> dict[str, Any]:
    """Run lm-eval on the tasks, write its files as its command does, and return its results."""
    import lm_eval
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=str(output))
    # Its bootstrap forks, and a fork of a process with threads may hang.
    with mock.patch.dict(os.environ, {"DISABLE_MULTIPROC": "1"}):
        results = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(checkpoint), "dtype": "float32"},
            tasks=list(TASKS),
            device="cpu",
            batch_size=4,
            bootstrap_iters=10,
            log_samples=True,
            evaluation_tracker=tracker,
            task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in TASKS:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    return dict(results)
