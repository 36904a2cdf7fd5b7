"""The sections of a task file that say what is asked and what is right, from lm-eval's doc_to_* fields."""

from __future__ import annotations

from typing import Any

from evalharness.tasks.from_lm_eval.source import Row, Source
from evalharness.tasks.from_lm_eval.templates import constant, literal


def prompt(source: Source, output_type: str, shots: int) -> dict[str, Any]:
    """The task's `prompt:`."""
    asked_of = (source.row, *source.samples[:1])
    question = source.template("doc_to_text", source.get("doc_to_text", ""), *asked_of)
    own_delimiter = source.get("target_delimiter", " ")
    delimiter = source.fewshot.get("target_delimiter", own_delimiter)
    if output_type == "multiple_choice" and delimiter != own_delimiter:
        source.refuse("fewshot_config", "demonstrations have another target_delimiter than the choices")
    found: dict[str, Any] = {"template": "plain", "question": question}
    if (description := source.get("description", "")) != "":
        found["description"] = source.template("description", description, source.row)
    separator = source.fewshot.get("fewshot_delimiter", source.get("fewshot_delimiter", "\n\n"))
    if separator != "\n\n":
        found["separator"] = separator
    if (lead := source.get("gen_prefix", "")) != "":
        words = source.template("gen_prefix", lead, *asked_of)
        found["question"] = _led(question, words, delimiter)
        after = "" if words[-1:].isspace() else " "
        if output_type == "multiple_choice" and delimiter != after:
            source.refuse("gen_prefix", "it is followed by another delimiter in demonstrations than before the choices")
        delimiter = after
    answer = _shown_answer(source, output_type)
    if output_type == "loglikelihood" and answer is not None:
        # What is scored follows the context as it is; only a demonstration's answer has a delimiter before it.
        answer, delimiter = constant(delimiter) + answer, ""
    if answer is not None:
        found["answer"] = answer
    if delimiter != " ":
        found["delimiter"] = delimiter
    if source.get("doc_to_choice") is not None and source.kind(source.get("doc_to_text"), source.row) == "position":
        source.refuse("doc_to_text", "it yields the position of a choice, so that the task asks once for each choice")
    for key in ("doc_to_text", "doc_to_choice", "gen_prefix", "process_docs"):
        if shots and source.fewshot.get(key, source.values.get(key)) != source.values.get(key):
            source.refuse("fewshot_config", f"demonstrations have a {key} of their own")
    return {**found, "split_rule": "lm_eval"}


def _led(question: str, words: str, delimiter: str) -> str:
    """The question with the first words of the answer behind it.

    lm-eval puts the delimiter between two texts only where neither has white space at the border.
    """
    border = question[-1:]
    if border in ("", "}") or words[:1] == "{":  # only the rendered texts tell what stands at the border
        apart = "asked and lead and not asked[-1].isspace() and not lead[0].isspace()"
        between = f"{{{{ {literal(delimiter)} if {apart} else '' }}}}"
        texts = f"{{% set asked %}}{question}{{% endset %}}{{% set lead %}}{words}{{% endset %}}"
        return f"{texts}{{{{ asked }}}}{between}{{{{ lead }}}}"
    return question + ("" if border.isspace() or words[:1].isspace() else constant(delimiter)) + words


def _shown_answer(source: Source, output_type: str) -> str | None:
    """What a demonstration answers, where it is not the right choice or the target as they are of every row."""
    value = source.fewshot.get("doc_to_target", source.get("doc_to_target"))
    other = bool(source.samples) or value != source.get("doc_to_target")
    if value is None or not (other or output_type == "loglikelihood") or output_type == "loglikelihood_rolling":
        return None
    row = source.samples[0] if source.samples else source.row
    kind = source.kind(value, row)
    if kind == "position" and source.get("doc_to_choice") is not None:
        return None if output_type == "multiple_choice" else _choice_at(source, value, row)
    if kind == "list":
        return f"{{{{ ({source.expression('doc_to_target', value, row)})[0] }}}}"
    return source.template("doc_to_target", value, row)


def _choice_at(source: Source, value: Any, row: Row | None) -> str:
    """The text of the choice whose position a field yields."""
    every = source.expression("doc_to_choice", _listed(source), row)
    return f"{{{{ ({every})[{_position(source, value, row)}] }}}}"


def _position(source: Source, value: Any, row: Row | None) -> str:
    found = source.expression("doc_to_target", value, row)
    native = type(value) is int or (row is not None and source.is_column(value) and type(row.get(value)) is int)
    return found if native else f"({found}) | int"


def _listed(source: Source) -> Any:
    """The choices; of a mapping lm-eval takes the values."""
    texts = source.get("doc_to_choice")
    return list(texts.values()) if isinstance(texts, dict) else texts


# --------------------------------------------------------------------------- what is right


def right(source: Source, output_type: str) -> dict[str, Any]:
    """The section that says what is right: `choices`, `continuation`, `document` or `target`."""
    value = source.get("doc_to_target")
    if value is None:
        source.refuse("doc_to_target", "it is missing, so that nothing says what is right")
        return {"target": ""}
    match output_type:
        case "multiple_choice":
            return {"choices": _choices(source, value)}
        case "loglikelihood":
            return {"continuation": source.template("doc_to_target", value, source.row)}
        case "loglikelihood_rolling":
            return {"document": {"text": source.template("doc_to_target", value, source.row)}}
        case _:
            return {"target": _target(source, value)}


def _choices(source: Source, value: Any) -> dict[str, Any]:
    listed = _listed(source)
    if listed is None:
        source.refuse("doc_to_choice", "it is missing from a task of choices")
        listed = []
    every = source.expression("doc_to_choice", listed, source.row)
    written = isinstance(listed, list)
    found: dict[str, Any] = {
        "texts": [constant(str(text)) for text in listed] if written else f"{{{{ {every} }}}}",
    }
    said = source.expression("doc_to_target", value, source.row)
    match source.kind(value, source.row):
        case "position":
            found["gold"] = f"{{{{ {_position(source, value, source.row)} }}}}"
        case "text":
            found["gold"] = f"{{{{ ({every}) | position_of({said}) }}}}"
        case "list":
            found["golds"] = f"{{{{ {said} }}}}"
        case None:
            digits = f"(({said}) ~ '').isdigit()"
            found["gold"] = f"{{{{ ({said}) | int if {digits} else ({every}) | position_of({said}) }}}}"
            source.notes.append("doc_to_target: one choice is taken to be right, named by its position or its text.")
    return found if written else {**found, "count": "varies"}


def _target(source: Source, value: Any) -> str | dict[str, Any]:
    if source.get("doc_to_choice") is not None:
        return _choice_at(source, value, source.row)
    kind = source.kind(value, source.row)
    if kind == "list":
        return {"any_of": f"{{{{ {source.expression('doc_to_target', value, source.row)} }}}}"}
    if kind is None:
        source.notes.append("doc_to_target: it is taken to yield one text, and not a list of right ones.")
    return source.template("doc_to_target", value, source.row)
