"""What a ``config.json`` says, checked as it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from evalharness.stack.config import AnyConfig
from evalharness.stack.errors import CheckpointError


class Values:
    """The keys of a ``config.json``; `where` names it in errors. A key that is null counts as not there.

    Args:
        tensors: the names of the tensors beside it, looked up only where a configuration alone does not say enough.

    Raises:
        CheckpointError: by its methods, where a value is wrong or not covered.
        KeyError: by its methods, where a key is missing that has no default.
    """

    def __init__(self, values: Mapping[str, Any], where: str, tensors: Callable[[], Collection[str]] = tuple) -> None:
        self._values, self.where, self.tensors = values, where, tensors

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        return self._values[key] if self.has(key) else default

    def size(self, *keys: str, default: int | None = None) -> int:
        """A whole number of at least 1, under the first of the keys that is there."""
        key = next((key for key in keys if self.has(key)), None)
        if key is None:
            if default is None:
                raise KeyError(keys[0])
            return default
        return whole(self._values[key], key, self.where)

    def number(self, key: str, default: float | None = None) -> float:
        """A number above 0."""
        if not self.has(key):
            if default is None:
                raise KeyError(key)
            return default
        return positive(self._values[key], key, self.where)

    def flag(self, key: str, *, default: bool = False) -> bool:
        found = self.get(key, default)
        if not isinstance(found, bool):
            raise CheckpointError(f"{self.where}: the key '{key}' must be true or false, not {found!r:.40}.")
        return found

    def require(self, key: str, value: object, *, default: object) -> None:
        """See that a key has the only value that is covered; `default` is what it has where it is not there.

        Raises:
            CheckpointError: it has another one.
        """
        found = self.get(key, default)
        if found != value:
            said = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else value
            raise CheckpointError(f"{self.where}: the key '{key}' is {found!r:.40}, but only {said} is covered.")

    def named(self, key: str, names: Mapping[str, str], default: str) -> str:
        """Our name of what a key names.

        Raises:
            CheckpointError: it is not among `names`.
        """
        found = self.get(key, default)
        if found not in names:
            raise CheckpointError(f"{self.where}: the activation '{found}' is not known; known: {', '.join(names)}.")
        return names[found]

    def ends(self, *, tied: bool) -> dict[str, Any]:
        """What every family says alike: tokens that begin and end a text, and whether embeddings are tied; `tied` is
        what they are where nothing is said."""
        return {
            "bos_id": self.get("bos_token_id"),
            "eos_ids": as_ids(self.get("eos_token_id")),
            "tied_embeddings": self.flag("tie_word_embeddings", default=tied),
        }


def whole(value: object, key: str, where: str) -> int:
    """The value, if it is a whole number of at least 1.

    Raises:
        CheckpointError: it is not.
    """
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{where}: the key '{key}' must be a whole number of at least 1, not {value!r:.40}.")
    return value


def positive(value: object, key: str, where: str) -> float:
    """The value, if it is a number above 0.

    Raises:
        CheckpointError: it is not.
    """
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise CheckpointError(f"{where}: the key '{key}' must be a number above 0, not {value!r:.40}.")
    return value  # type: ignore[return-value]


def as_ids(value: int | list[int] | None) -> tuple[int, ...]:
    """Token ids where a configuration has one, several or none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def ends_json(config: AnyConfig) -> dict[str, Any]:
    """What `Values.ends` reads back."""
    return {
        "tie_word_embeddings": config.tied_embeddings,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_ids[0] if len(config.eos_ids) == 1 else list(config.eos_ids) or None,
    }
