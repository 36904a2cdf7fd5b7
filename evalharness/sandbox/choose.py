"""The best level of isolation that works here."""

from __future__ import annotations

from collections.abc import Callable

from evalharness.errors import ServiceError, UsageError, nearest
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.sandbox.levels import Bubblewrap, Container, Landlock, Level, Unsafe
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.sandbox import Sandbox

LEVELS = ("bwrap", "landlock", "container", "unsafe")


def choose(
    level: str | None = None, *, allow_unsafe: bool = False, python: str | None = None, image: str | None = None
) -> Sandbox:
    """A sandbox of the level asked for; else of the first of bwrap and landlock that works.

    Args:
        allow_unsafe: a plain subprocess will do where no isolated level works.
        python: interpreter for the boxes, with its packages.
        image: image of the container.

    Raises:
        UsageError: an unknown level, or the level ``unsafe`` without `allow_unsafe`.
        ServiceError: the level does not work here, or none does; the sentence says why for each.
    """
    if level is not None and level not in LEVELS:
        raise UsageError(f"--sandbox {level}: there is no such level; {nearest(level, LEVELS)}")
    if level == "unsafe" and not allow_unsafe:
        raise UsageError("--sandbox unsafe isolates nothing; if that is meant, add --allow-unsafe-execution.")
    if level is None and image is not None:
        level = "container"
    interpreter = find_interpreter(python)
    wanted: list[Level] = [Bubblewrap(), Landlock()] if level is None else [_level(level, image)]
    if level is None and allow_unsafe:
        wanted.append(Unsafe())
    failed = []
    for candidate in wanted:
        sandbox = Sandbox(candidate, interpreter)
        why = candidate.missing() or trouble(sandbox)
        if why is None:
            return sandbox
        failed.append(f"{candidate.name}: {why}")
    raise ServiceError(
        f"model-written code runs only in a sandbox, and none works here ({'; '.join(failed)}); `evalharness doctor "
        "sandbox` tries each. --allow-unsafe-execution runs it without any isolation."
    )


def _level(name: str, image: str | None) -> Level:
    if name == "container":
        return Container(image)
    plain: dict[str, Callable[[], Level]] = {"bwrap": Bubblewrap, "landlock": Landlock, "unsafe": Unsafe}
    return plain[name]()


def trouble(sandbox: Sandbox) -> str | None:
    """Why a program that only computes does not run; None where it does."""
    outcome = sandbox.run("print(6 * 7)", limits=Limits(seconds=30))
    if outcome.status == "pass" and outcome.stdout == "42\n":
        return None
    return outcome.explanation or f"a first program ended with {outcome.status}"
