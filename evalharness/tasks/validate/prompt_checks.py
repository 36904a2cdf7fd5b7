"""What the rendered prompts show to be wrong: spaces at the borders, stop strings in answers, too little room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evalharness.prompting.prompter import Prompter, Turn
from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault
from evalharness.tasks.validate.rows import Rows
from evalharness.types import Reference, Sample, Tokenizer

MANY = 0.5
"""Share of the rows from which on a space is a fault of the definition, and no oddity of single rows."""
SHORT = 0.05
"""Share of the answers that may be longer than the room for them."""
TOKENISED = 20
"""Prompts that are tokenised."""

References = Sequence[tuple[Sample, Reference]]


def check_prompts(task: Task, rows: Rows, references: References, tokenizer: Tokenizer | None) -> Iterator[Fault]:
    """Render every prompt with its demonstrations; `references` are of the spread rows."""
    prompter = Prompter(task.definition.prompt, tokenizer=tokenizer, max_length=None)
    prompts: list[str] = []
    for number, (sample, _) in enumerate(references):
        turns = [task.renderer.demonstration(row, reasoned=task.method.reasoned) for row in rows.demonstrations]
        for question in task.renderer.questions(sample):
            messages = prompter.messages(task.renderer.description(sample), turns, question)
            prompts.append(prompter.plain(messages))
            if number < TOKENISED:
                prompter.prompt(messages, reserve=0)
    if task.definition.document is not None:
        return
    yield from _spaces(task, prompts, references)
    if not task.method.scores:
        shown = [turn.answer or "" for turn in _demonstrations(task, rows)]
        yield from _stops(task, shown, references)
        yield from _room(task, shown, tokenizer)


def _spaces(task: Task, prompts: Sequence[str], references: References) -> Iterator[Fault]:
    delimiter = task.definition.prompt.delimiter
    if not task.definition.prompt.question and task.method.scores:
        return  # the choices are scored from the beginning of a text
    if not any(prompts):
        yield Fault("empty_prompt", "prompt.question", "every prompt is empty; the question needs a text.")
    elif _share(prompt.endswith(" ") for prompt in prompts) > MANY:
        yield Fault(
            "trailing_space",
            "prompt.question",
            "the prompt ends in a space, which tokenises unlike the space before a word; end it without one and let "
            "prompt.delimiter bring it.",
        )
    if task.method.needs == "target" or not delimiter.endswith(" "):
        return
    field, texts = _continuations(task, references)
    if texts and _share(text.startswith(" ") for text in texts) > MANY:
        yield Fault(
            "doubled_space",
            field,
            f"the text begins with a space and prompt.delimiter {delimiter!r} ends with one; leave one of them out.",
        )


def _continuations(task: Task, references: References) -> tuple[str, list[str]]:
    """What is scored, and the field that says it."""
    if task.renderer.choices_in_question:
        return "choices.continuation", [task.renderer.after_choice(sample) for sample, _ in references]
    if task.definition.continuation is not None:
        return "continuation", [str(reference.target) for _, reference in references]
    return "choices.texts", [choice for _, reference in references for choice in reference.choices]


def _demonstrations(task: Task, rows: Rows) -> list[Turn]:
    """What demonstrations would answer, of rows that can stand as one."""
    columns = task.demonstration_columns
    able = [row for row in (*rows.demonstrations, *rows.spread) if columns <= row.row.keys()]
    if task.method.reasoned and task.definition.prompt.reasoned_answer is None:
        return []
    return [task.renderer.demonstration(row, reasoned=task.method.reasoned) for row in able]


def _stops(task: Task, shown: Sequence[str], references: References) -> Iterator[Fault]:
    targets = [
        str(text)
        for _, reference in references
        for text in (reference.target if isinstance(reference.target, tuple) else (reference.target,))
    ]
    for stop in task.definition.decode.stop:
        cut = next((text for text in (*targets, *shown) if stop in text), None)
        if cut is not None:
            found = _share(stop in text for text in (*targets, *shown))
            yield Fault(
                "stop_in_answer",
                "decode.stop",
                f"the stop string {stop!r} stands inside {found:.1%} of the right answers and would cut them; "
                "choose one that no answer holds.",
            )


def _room(task: Task, shown: Sequence[str], tokenizer: Tokenizer | None) -> Iterator[Fault]:
    if tokenizer is None or not shown or task.method.loops:  # whose turns are written one by one
        return
    most = task.definition.decode.max_tokens
    over = _share(len(tokenizer.encode(text)) > most for text in shown)
    if over > SHORT:
        yield Fault(
            "too_few_tokens",
            "decode.max_tokens",
            f"{over:.0%} of the right answers are longer than {most} tokens (counted by the embedded model's "
            "tokenizer); raise it.",
        )


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 0.0
