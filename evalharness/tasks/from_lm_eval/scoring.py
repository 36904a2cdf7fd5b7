"""lm-eval's metrics, filters and generation arguments in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalharness.answers.lm_eval_filters import build_filters
from evalharness.errors import DataError
from evalharness.options import parse_options
from evalharness.records.foreign.lm_eval import sampling_of
from evalharness.scoring.match import LmEvalExactMatch
from evalharness.tasks.from_lm_eval.source import Source
from evalharness.tasks.from_lm_eval.yaml_files import Function

_SCORED: dict[str, dict[str, str | dict[str, Any]]] = {
    "multiple_choice": {
        "acc": "acc",
        "acc_norm": "acc_norm",
        "acc_bytes": "acc_bytes",
        "exact_match": {"metric": "greedy_choice", "label": "exact_match"},
    },
    "loglikelihood": {"perplexity": "perplexity", "acc": {"metric": "greedy_match", "label": "acc"}},
    "loglikelihood_rolling": {
        "word_perplexity": "word_perplexity",
        "byte_perplexity": "byte_perplexity",
        "bits_per_byte": "bits_per_byte",
    },
}
"""Our metric of each of lm-eval's, by output type."""
_DEFAULT = {
    "multiple_choice": ("acc", "acc_norm"),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "generate_until": ("exact_match",),
}
"""What lm-eval measures where a task says nothing."""
_AGGREGATIONS = {
    "perplexity": "perplexity",
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
}
"""The aggregation that our metric stands for; of all others the mean."""
_ABOUT = frozenset({"metric", "aggregation", "higher_is_better", "hf_evaluate"})
"""Keys of a metric that are no options of it."""
_VOTING = frozenset({"majority_vote", "take_first_k"})


def metrics(source: Source, output_type: str) -> list[str | dict[str, Any]]:
    """The task's `metrics:`, in the file's order."""
    listed = source.get("metric_list") or [{"metric": name} for name in _DEFAULT[output_type]]
    if not isinstance(listed, list) or not all(isinstance(entry, dict) and "metric" in entry for entry in listed):
        source.refuse("metric_list", "a list of mappings, each with the key 'metric', is expected")
        return []
    found: list[str | dict[str, Any]] = []
    for entry in listed:
        name = entry["metric"]
        if isinstance(name, Function):
            continue  # told with the other functions
        known = _SCORED[output_type].keys() if output_type in _SCORED else {"exact_match"}
        if name not in known or entry.get("hf_evaluate"):
            source.refuse("metric_list", f"there is no counterpart of the metric '{name}' of {output_type}")
        elif _aggregated(source, name, entry):
            found += _matches(source, entry) if output_type not in _SCORED else [_SCORED[output_type][name]]
    return found


def _aggregated(source: Source, name: str, entry: Mapping[str, Any]) -> bool:
    expected = _AGGREGATIONS.get(name, "mean")
    aggregation = entry.get("aggregation", expected)
    if isinstance(aggregation, Function):
        return False  # told with the other functions
    if aggregation != expected:
        source.refuse("metric_list", f"{name} is aggregated by '{aggregation}' there and by its {expected} here")
        return False
    return True


def _matches(source: Source, entry: Mapping[str, Any]) -> list[str | dict[str, Any]]:
    """One metric a filter: lm-eval scores a text once for each of its chains of filters."""
    options = {key: value for key, value in entry.items() if key not in _ABOUT and value not in (False, None)}
    try:
        parse_options(LmEvalExactMatch, options, "metric_list (exact_match)")
    except DataError as error:
        source.reasons.append(str(error))
    chains = filters(source)
    return [
        {
            "metric": "lm_eval_exact_match",
            "label": "exact_match" if len(chains) == 1 and name == "none" else f"exact_match,{name}",
            "answer": {"parser": "lm_eval", "filters": chain},
            **options,
        }
        for name, chain in chains.items()
    ]


def filters(source: Source) -> dict[str, list[dict[str, Any]]]:
    """The chains of filters by name."""
    listed = source.get("filter_list")
    if listed is None:
        return {"none": [{"function": "take_first"}]}
    if not isinstance(listed, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("filter"), list) and "name" in entry for entry in listed
    ):
        source.refuse("filter_list", "a list of mappings, each with 'name' and 'filter', is expected")
        return {}
    return {str(entry["name"]): _chain(source, entry["filter"]) for entry in listed}


def _chain(source: Source, steps: Sequence[Any]) -> list[dict[str, Any]]:
    if any(isinstance(step, dict) and isinstance(step.get("function"), Function) for step in steps):
        return []  # told with the other functions
    if any(isinstance(step, dict) and step.get("function") == "multi_choice_regex" for step in steps):
        source.refuse("filter_list", "multi_choice_regex reads the column 'choices', which a task that writes has not")
        return []
    try:
        build_filters(steps, "filter_list: filter")
    except DataError as error:
        source.reasons.append(str(error))
        return []
    return [dict(step) for step in steps]


# --------------------------------------------------------------------------- generation

_KNOWN = frozenset(
    {
        *("until", "do_sample", "temperature", "top_p", "top_k"),
        *("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"),
    }
)


def decode(source: Source) -> dict[str, Any]:
    """The task's `decode:`."""
    arguments = source.get("generation_kwargs", {})
    if not isinstance(arguments, dict):
        source.refuse("generation_kwargs", "a mapping is expected")
        return {}
    for key in arguments:
        if key not in _KNOWN:
            source.refuse("generation_kwargs", f"there is no counterpart of '{key}'")
    sampling = sampling_of({"until": source.get("fewshot_delimiter", "\n\n"), **arguments})
    found: dict[str, Any] = {"max_tokens": sampling.max_tokens, "stop": list(sampling.stop)}
    if sampling.temperature:
        drawn = {
            "temperature": (sampling.temperature, 0.0),
            "top_p": (sampling.top_p, 1.0),
            "top_k": (sampling.top_k, 0),
        }
        found |= {key: value for key, (value, usual) in drawn.items() if value != usual}
    return found


def votes(source: Source) -> int:
    """How many texts of one sample the filters see together; 1 where they look at the first alone."""
    repeats = source.get("repeats", 1)
    if not isinstance(repeats, int) or repeats < 2:
        return 1
    chains = source.get("filter_list") or []
    steps = [step for entry in chains if isinstance(entry, dict) for step in entry.get("filter") or ()]
    return repeats if any(isinstance(step, dict) and step.get("function") in _VOTING for step in steps) else 1
