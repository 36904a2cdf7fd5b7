"""What the definition alone shows to be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault


def check_definition(task: Task, *, shipped: bool) -> Iterator[Fault]:
    """Faults that no row is needed for."""
    d = task.definition
    if d.source is None:
        yield Fault(
            "no_provenance",
            "source",
            "nothing says where the benchmark comes from; add source: {paper: ..., license: ..., columns_from: ...}.",
            "fault" if shipped else "note",
        )
    if d.demonstrations.split is not None and d.demonstrations.split == d.data.split:
        yield Fault(
            "demonstrations_from_test",
            "demonstrations.split",
            f"demonstrations come from '{d.data.split}', the split that is evaluated; name another split or rows.",
        )
    if d.prompt.description and not d.prompt.description[-1].isspace() and d.prompt.question:
        yield Fault(
            "glued_description",
            "prompt.description",
            "the description ends without a space or line break, so the first question is glued to it.",
        )
