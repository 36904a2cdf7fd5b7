"""Parts of journal lines that judges, tools and function calls leave; programs and calls are of our own writing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

PROGRAM = '''def add(first, second):
    """The sum of two numbers."""
    total = first - second  # wrong on purpose
    return total
'''
HOSTILE = "</script></pre><img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
TERMINAL = "\x1b[2J\x1b]0;owned\x07\x9b31m\r"
"""What clears a screen, renames a window and turns text red where a terminal obeys."""
BIDI = "if access != 'user\u202e \u2066# only for admins\u2069 \u2066':"
"""A line that an editor shows in another order than Python reads it."""


def verdict(label: str = "fail", *, candidate: int = 0, program: str = PROGRAM, **more: Any) -> dict[str, Any]:
    """An execution's verdict; `more` are further details."""
    explanations = {
        "pass": None,
        "fail": "AssertionError: assert add(2, 3) == 5",
        "error": "NameError: name 'totl' is not defined",
        "timeout": "it ran longer than 3 s",
        "memory": "it wanted more than 1 GiB",
        "output_limit": "it printed more than 1 MiB",
    }
    made: dict[str, Any] = {"judge": "execution", "candidate": candidate, "label": label}
    if explanations.get(label) is not None:
        made["explanation"] = explanations[label]
    return {**made, "details": {"program": program, "level": "bwrap", "in_box": False, "seconds": 0.031, **more}}


def tool_use(tool: str = "python", result: str = "18", status: str | None = None, **arguments: Any) -> dict[str, Any]:
    made = {"tool": tool, "arguments": arguments or {"program": "print(6 * 3)"}, "result": result}
    return made if status is None else {**made, "status": status}


def loop_step(thought: str = "I add.", action: str = "Calculator[6 * 3]", **more: Any) -> dict[str, Any]:
    """A step of a loop; without more it is the last one."""
    return {"thought": thought, "action": action, **(more or {"status": "finished"})}


def calls_target(*expected: Mapping[str, Any]) -> str:
    """The target of a task that is answered by function calls."""
    functions = [{"name": name, "parameters": {}} for call in expected for name in call]
    return json.dumps({"functions": functions, "ground_truth": list(expected)})


def calls_answer(**calls: Mapping[str, Any]) -> str:
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


def judged(
    line: dict[str, Any],
    verdicts: Sequence[Mapping[str, Any]] = (),
    tool_uses: Sequence[Mapping[str, Any]] = (),
    explanations: Mapping[str, str] | None = None,
    steps: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The line, its first repeat with these parts in the order in which a run writes them."""
    first, *others = line["repeats"]
    calls = first.pop("calls")
    for key, value in (
        ("explanations", explanations),
        ("verdicts", verdicts),
        ("tool_uses", tool_uses),
        ("steps", steps),
    ):
        if value:
            first[key] = dict(value) if isinstance(value, Mapping) else list(value)
    return {**line, "repeats": [{**first, "calls": calls}, *others]}
