"""The Hugging Face hub through `datasets`, at a pinned commit; its local cache where the hub is out of reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.data.options import DataOptions
from evalharness.data.reachability import endpoint, offline_by_choice, why_unreachable
from evalharness.data.split import Source, Split, make_split
from evalharness.data.unavailable import Unavailable

if TYPE_CHECKING:
    from datasets import Dataset


def load(options: DataOptions, split: str, config: str | None, timeout: float) -> Split:
    """A split from the hub, or from the cache of `datasets`, with the commit that it is of.

    ClassLabel columns are plain integers, as in a mirror.

    Raises:
        Unavailable: `datasets` is not installed; the hub neither answers nor is the split in the cache (or only
            at another commit than the pinned one); the hub lacks the split.
    """
    forbidden = offline_by_choice()
    why_offline = f"{forbidden} is set" if forbidden else why_unreachable(timeout)
    try:
        import datasets  # noqa: F401
    except ModuleNotFoundError:
        raise Unavailable(f"the hub {endpoint()} (the package datasets is not installed)") from None
    hub = str(options.hub)
    if why_offline:
        dataset, commit = _from_cache(hub, config, split, options.revision, why_offline)
    else:
        dataset, commit = _from_hub(hub, config, split, options.revision)
    rows = dataset.to_list()
    source = Source(
        kind="hub",
        location=hub,
        split=split,
        config=config,
        revision=commit,
        n=len(rows),
        of=options.rows.get(split) or len(rows),
    )
    return make_split(rows, None, source)


def _from_hub(hub: str, config: str | None, split: str, revision: str | None) -> tuple[Dataset, str | None]:
    from datasets import load_dataset
    from huggingface_hub import HfApi

    try:
        commit = HfApi(endpoint=endpoint()).dataset_info(hub, revision=revision).sha
        return load_dataset(hub, config, split=split, revision=commit), commit
    except Exception as error:  # httpx, pyarrow, fsspec and the libraries' own: no common base
        raise Unavailable(f"the hub {endpoint()} ({_clause(error)})") from error


def _from_cache(
    hub: str, config: str | None, split: str, revision: str | None, why_offline: str
) -> tuple[Dataset, str | None]:
    from datasets import load_dataset

    try:
        with _offline():
            dataset = load_dataset(hub, config, split=split)
    except Exception as error:  # as above
        raise Unavailable(f"the hub {endpoint()} ({why_offline}, and no copy in the cache of datasets)") from error
    commit = _cached_commit(dataset)
    # Out of reach of the hub, `datasets` takes the newest copy and passes over the revision that it was asked for.
    if revision and commit != revision:
        raise Unavailable(
            f"the hub {endpoint()} ({why_offline}, and the cache of datasets holds commit {commit}, not {revision})"
        )
    return dataset, commit


def _cached_commit(dataset: Dataset) -> str | None:
    """The commit in a cached file's path, ``<org>___<name>/<config>/<version>/<commit>/<name>-<split>.arrow``."""
    folders = {Path(file["filename"]).parent.name for file in dataset.cache_files}
    commits = [folder for folder in folders if re.fullmatch(r"[0-9a-f]{40}", folder)]
    return commits[0] if len(commits) == 1 else None


@contextmanager
def _offline() -> Iterator[None]:
    """Both libraries read HF_HUB_OFFLINE once, at their import; these are the places where they keep it."""
    import datasets.config
    import huggingface_hub.constants

    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    try:
        for place in places:
            place.HF_HUB_OFFLINE = True
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value


def _clause(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
