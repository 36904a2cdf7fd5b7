"""lm-eval's own task files over rows of a mirror: which there are, and what lm-eval asks of the rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.lm_eval_oracle import FEWSHOT_SEED, Asked, _rows_in_place_of_the_hub, by_document, scored

from evalharness.data.mirror import locate
from evalharness.data.options import DataOptions
from evalharness.data.unavailable import Unavailable
from evalharness.tasks.from_lm_eval.yaml_files import functions, read_lm_eval_yaml

ROWS = 40
"""Of each split that a task is tried on: enough to draw demonstrations from."""
COPIES = {"SaylorTwift/bbh": "lukaemon/bbh"}
"""Ids of the same rows, which a mirror may have them under."""
Values = Mapping[str, Any]


def candidates(mirror: Path) -> dict[Path, Values]:
    """Task files without `!function` whose evaluated split the mirror has, with their keys."""
    import lm_eval.tasks

    names = _named(mirror)
    found = {}
    for path in sorted(Path(lm_eval.tasks.__file__).parent.rglob("*.yaml")):
        if "!function" in (text := path.read_text(encoding="utf-8")) or not ("include" in text or _says(text, names)):
            continue
        values = read_lm_eval_yaml(path)
        if isinstance(values.get("task"), str) and not functions(values) and evaluated(mirror, values):
            found[path] = values
    return found


def _named(mirror: Path) -> list[str]:
    """Ids of data sets, under which a file may name rows of the mirror."""
    import json

    held = [f"{path.parent.name}/{path.name}" for path in mirror.glob("*/*") if path.is_dir()]
    aliases = json.loads((mirror / "ALIASES.json").read_text())["ids"] if (mirror / "ALIASES.json").is_file() else {}
    return [*held, *aliases, *COPIES]


def _says(text: str, names: Sequence[str]) -> bool:
    return any(name in text for name in names)


def evaluated(mirror: Path, values: Values) -> Path | None:
    return split_file(mirror, values, values.get("test_split") or values.get("validation_split"))


def split_file(mirror: Path, values: Values, split: Any) -> Path | None:
    """The mirror's file of a split; None where it has none."""
    path = values.get("dataset_path")
    if not isinstance(path, str) or not isinstance(split, str) or path in ("json", "csv", "parquet"):
        return None
    try:
        options = DataOptions(hub=path, mirror=COPIES.get(path), config=values.get("dataset_name"), split=split)
        return locate(mirror, options, options.config, split)
    except (ValueError, Unavailable):
        return None


def chosen(found: Mapping[Path, Values], count: int, seed: int) -> list[Path]:
    """`count` files drawn by a seed, at most two of a folder as long as there are others."""
    drawn = sorted(found)
    random.Random(seed).shuffle(drawn)
    places: dict[Path, int] = {}
    ranked = []
    for path in drawn:
        places[path.parent] = places.get(path.parent, 0) + 1
        ranked.append((places[path.parent] > 2, len(ranked), path))
    return [path for _, _, path in sorted(ranked)[:count]]


def theirs(path: Path, splits: Mapping[str, Sequence[Mapping[str, Any]]], documents: int) -> list[Asked]:
    """What lm-eval asks of the first documents, by its own code."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(path)
    for key in ("tag", "group", "task_list"):  # as its factory does before it builds a task
        config.pop(key, None)
    with _rows_in_place_of_the_hub(splits):
        task = ConfigurableTask(config=config)
    if task.config.num_fewshot is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(FEWSHOT_SEED)
    return [_asked(task, instances) for instances in by_document(task)[:documents]]


def _asked(task: Any, instances: Sequence[Any]) -> Asked:
    arguments = [instance.args for instance in instances]
    if task.OUTPUT_TYPE == "generate_until":
        from lm_eval.models.utils import normalize_gen_kwargs

        ((prompt, generation),) = arguments
        told = normalize_gen_kwargs(generation)
        return Asked(prompt, generation={key: told.get(key, 0.0) for key in
                                         ("max_gen_toks", "until", "do_sample", "temperature")})  # fmt: skip
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return Asked("", arguments[0])
    return scored(arguments)
