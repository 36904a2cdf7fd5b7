"""One sample of a journal as text for people: prompt, what was said with the answer marked, choices, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evalharness.cli.evidence_view import evidence, said
from evalharness.pages.controls import visible
from evalharness.records.expected_calls import answer_text, target_text

SHOWN = 1500
"""Characters of a prompt that are shown unless all are asked for: its end, where the question stands."""
OPEN, CLOSE = "⟦", "⟧"
"""Around the answer where there is no colour to mark it with."""


def view(line: Mapping[str, Any], *, full: bool, marks: bool) -> RenderableType:
    """Everything about a sample.

    Args:
        full: show prompts whole.
        marks: put brackets around the parsed answer, in place of colour; programs have none then.
    """
    parts: list[RenderableType] = [_head(line)]
    if line.get("error"):
        parts.append(said(f"failed: {line['error']}", "red"))
    for number, repeat in enumerate(line["repeats"], 1):
        if len(line["repeats"]) > 1:
            parts.append(Text(f"repeat {number}: {_scores(repeat['scores'])}", style="bold"))
        parts += _calls(repeat, full=full, marks=marks)
        parts += evidence(line, repeat, full=full, colour=not marks)
        parts += _answer(repeat)
    if line["log_likelihoods"]:
        parts.append(_likelihoods(line))
    parts.append(_right(line))
    return Group(*parts)


def _head(line: Mapping[str, Any]) -> Text:
    head = said(f"── {line['id']}", "bold")
    if line["scores"]:
        head.append(f"  {_scores(line['scores'])}")
    for flag in line["flags"]:
        head.append(f"  {flag}", style="yellow")
    return head


def _scores(scores: Mapping[str, Any]) -> str:
    return "  ".join(f"{label} {float(value):.4g}" for label, value in scores.items())


def _calls(repeat: Mapping[str, Any], *, full: bool, marks: bool) -> Iterator[RenderableType]:
    """Each call's prompt and completions; the answer is marked in the text that it was read from."""
    before = None
    texts = repeat.get("candidates") or []
    for number, call in enumerate(repeat["calls"], 1):
        if call["prompt"] != before and call["prompt"]:
            yield Text(_title("prompt", number, len(repeat["calls"]), call), style="cyan")
            yield said(_shortened(call["prompt"], full))
        before = call["prompt"]
        completions = call.get("completions", ())
        last = number == len(repeat["calls"]) and not texts
        for place, completion in enumerate(completions, 1):
            yield Text(_title("completion", place, len(completions), completion), style="cyan")
            span = repeat.get("span") if last and len(completions) == 1 else None
            yield _marked(completion["text"], span, marks)
    for place, text in enumerate(texts, 1):
        yield Text(_title("text that was parsed", place, len(texts), {}), style="cyan")
        yield _marked(text, repeat.get("span") if len(texts) == 1 else None, marks)


def _title(what: str, number: int, of: int, facts: Mapping[str, Any]) -> str:
    title = f"{what} {number} of {of}" if of > 1 else what
    told = []
    if facts.get("tokens") is not None:
        told.append(f"{facts['tokens']} tokens")
    if facts.get("cut"):
        told.append(f"{facts['cut']} cut from its left")
    if facts.get("finish_reason"):
        told.append(f"ended by {facts['finish_reason']}" + (f" {facts['stop']!r}" if facts.get("stop") else ""))
    return f"{title} ({', '.join(told)})" if told else title


def _shortened(text: str, full: bool) -> str:
    if full or len(text) <= SHOWN:
        return text
    return f"[{len(text) - SHOWN:,} characters before this; --full shows them]\n{text[-SHOWN:]}"


def _marked(text: str, span: Sequence[int] | None, marks: bool) -> Text:
    if not span:
        return said(text)
    start, end = span
    before, answer, after = visible(text[:start]), visible(text[start:end]), visible(text[end:])
    if marks:
        return Text(f"{before}{OPEN}{answer}{CLOSE}{after}")
    return Text.assemble(before, (answer, "bold reverse"), after)


def _answer(repeat: Mapping[str, Any]) -> Iterator[Text]:
    if repeat.get("votes"):
        votes = ", ".join(f"{answer!r} {count}" for answer, count in repeat["votes"].items())
        yield said(f"votes: {votes}")
    answer = repeat.get("answer")
    if answer is not None:
        yield said(f"answer: {_told(answer)}")
    elif repeat.get("why"):
        yield said(f"no answer: {repeat['why']}", "yellow")


def _told(answer: str) -> str:
    """Calls as a person writes them; of a program, which its verdict shows whole, the first line."""
    calls, lines = answer_text(answer), answer.strip().splitlines()
    if calls != answer:
        return str(calls)
    if len(lines) < 2:
        return repr(answer)
    return f"{lines[0]!r} and {len(lines) - 1} more line{'s' if len(lines) > 2 else ''}"


def _likelihoods(line: Mapping[str, Any]) -> RenderableType:
    """A row a choice: log-likelihood, the same a character, whether greedy decoding would say it."""
    totals, choices = [float(value) for value in line["log_likelihoods"]], line.get("choices") or ()
    if len(totals) != len(choices):
        return Text(f"log-likelihood: {', '.join(f'{total:.4f}' for total in totals)}")
    golds = line["target"] if isinstance(line["target"], list) else [line["target"]]
    chosen = max(range(len(totals)), key=lambda place: totals[place])
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for title in ("", "choice"):
        table.add_column(title, overflow="fold")
    for title in ("nats", "a character", "greedy"):
        table.add_column(title, justify="right", no_wrap=True)
    for place, (choice, total) in enumerate(zip(choices, totals, strict=True)):
        mark = ("right " if place in golds else "") + ("likeliest" if place == chosen else "")
        each = f"{total / len(choice):.4f}" if choice else ""
        greedy = {True: "yes", False: "no", None: ""}[line["greedy"][place]]
        table.add_row(mark, said(choice), f"{total:.4f}", each, greedy)
    return table


def _right(line: Mapping[str, Any]) -> Text:
    target, choices = line["target"], line.get("choices")
    if target is None:
        return Text("")
    several = target if isinstance(target, list) else [target]
    texts = [choices[each] if choices and isinstance(each, int) else str(each) for each in several]
    return said("right: " + (target_text(target) or " | ".join(texts)) + "\n", "green")
