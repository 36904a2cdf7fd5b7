"""Sections of a YAML that are of several kinds, of which a key in them names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from evalharness.stack.architectures.composed import unknown_name


class ByName:
    """For pydantic's `BeforeValidator`: validates a section by the model that its key names.

    A union would say of which of its kinds a fault is, which the place of a fault in a YAML does not.

    Args:
        what: what is named, for sentences.
        key: the key that names it.
        kinds: models by name; the first is meant where the key is missing.
    """

    def __init__(self, what: str, key: str, kinds: Mapping[str, type[BaseModel]]) -> None:
        self.what, self.key, self.kinds = what, key, dict(kinds)

    def kind(self, values: Any) -> type[BaseModel] | None:
        """The model of a section; None where there is none."""
        return self.kinds.get(self._name(values)) if isinstance(values, Mapping) else None

    def __call__(self, values: Any) -> Any:
        if isinstance(values, tuple(self.kinds.values())):
            return values
        if not isinstance(values, Mapping):
            raise ValueError("a section with keys and values is needed.")
        kind = self.kind(values)
        if kind is None:
            raise ValueError(unknown_name(self.what, self._name(values), self.kinds))
        return kind.model_validate(values)

    def _name(self, values: Mapping[str, Any]) -> str:
        return str(values.get(self.key, next(iter(self.kinds))))
