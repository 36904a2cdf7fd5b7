"""The JSON schema of task files: what pydantic knows, and every parser, metric, judge and perturbation by name with
its options."""

from __future__ import annotations

from typing import Any

from evalharness import registry
from evalharness.tasks.definition import TaskDefinition


def task_schema() -> dict[str, Any]:
    """A schema that editors complete and check task files by (`# yaml-language-server: $schema=...`)."""
    schema = TaskDefinition.model_json_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    parsers = _components("parser", definitions)
    metrics = _components("metric", definitions)
    judges = _components("judge", definitions)
    perturbations = _components("perturbation", definitions)
    properties["answer"]["anyOf"] = [*parsers, {"type": "null"}]
    properties["metrics"]["items"] = {"anyOf": [{"enum": registry.names("metric")}, *metrics]}
    properties["judging"]["items"] = {"anyOf": [{"enum": registry.names("judge")}, *judges]}
    properties["perturb"]["items"] = {"anyOf": [{"enum": registry.names("perturbation")}, *perturbations]}
    definitions["ElicitationOptions"]["properties"]["method"]["enum"] = registry.names("method")
    return schema


def _components(kind: registry.Kind, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """One schema for each component of a kind, told apart by its name."""
    found = []
    for name in registry.names(kind):
        own = registry.lookup(kind, name).model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(own.pop("$defs", {}))
        own["properties"][kind] = {"const": name}
        found.append(own)
    return found
