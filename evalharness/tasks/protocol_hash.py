"""What makes two scores comparable, as one hash.

The hash covers everything that decides what a model is asked and how its answer is judged, and nothing
else: the messages of three written documents with written demonstrations, shots, demonstration policy,
split rule, plain or chat, decoding, method, repeats, and parsers, metrics and judges by name, options and
declared version; what a judge is given is rendered for the three documents. Paths, prose in the definition
and the data themselves stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalharness.hashing import canonical_json, sha256_text
from evalharness.judging.base import Judge
from evalharness.prompting.functions import openai_tool
from evalharness.prompting.prompter import Prompter
from evalharness.tasks.definition import FORMS
from evalharness.tasks.task import Task
from evalharness.types import Sample

DOCUMENTS = 3
SYNTHETIC_SHOTS = 2
"""Demonstrations that the hash renders; how many a run shows is hashed as a number."""


def synthetic_samples(task: Task) -> list[Sample]:
    """The rows written in the task file, as samples of its first subset."""
    names = task.definition.data.subset_names
    return [
        Sample(
            id=f"example-{number + 1}",
            index=number,
            row=row,
            content_hash=f"example-{number + 1}",
            subset=names[0] if names else None,
        )
        for number, row in enumerate(task.definition.examples)
    ]


def protocol_hash(
    task: Task, *, chat: bool = False, system_prompt: str | None = None, corpus: str | None = None
) -> str:
    """sha256 of the protocol's canonical JSON (`protocol_facts`).

    Args:
        corpus: fingerprint of what the task's tools search, of a run that has loaded it.
    """
    facts = protocol_facts(task, chat=chat, system_prompt=system_prompt)
    return sha256_text(canonical_json(facts if corpus is None else {**facts, "corpus": corpus}))


def judged_by(protocol: str, judge: Mapping[str, Any] | None) -> str:
    """The hash of a protocol under one judge model: what two of them say does not compare.

    Args:
        judge: what a run's record says of its judge model; None where there is none.
    """
    if judge is None:
        return protocol
    decisive = {key: judge[key] for key in ("kind", "fingerprint", "tokenizer", "numerics")}
    return sha256_text(canonical_json([protocol, decisive]))


def protocol_facts(task: Task, *, chat: bool, system_prompt: str | None) -> dict[str, Any]:
    """Everything that the protocol hash covers."""
    definition = task.definition
    prompter = Prompter(definition.prompt, tokenizer=None, max_length=None, chat=chat, system_prompt=system_prompt)
    samples = synthetic_samples(task)
    demonstrations = definition.demonstrations
    listed = {"tools"} if task.tools else set()
    return {
        "documents": [_document(task, prompter, samples, number) for number in range(DOCUMENTS)]
        if samples
        else definition.model_dump(
            mode="json",
            include={"prompt", *FORMS},
            exclude={"choices": {"count"}, "prompt": {"wordings"}},
            exclude_none=True,
        ),
        **({"judging": [_judge(judge, rendered=bool(samples)) for judge in task.judges]} if task.judges else {}),
        **({"perturb": _perturbed(task)} if task.perturbations else {}),
        **({"descriptions": definition.prompt.descriptions} if definition.prompt.descriptions else {}),
        **({"facts": definition.facts} if definition.facts and not samples else {}),
        "shots": demonstrations.shots,
        "policy": [demonstrations.policy, demonstrations.extra_draw] if demonstrations.shots else None,
        "split_rule": definition.prompt.split_rule,
        "too_long": definition.prompt.too_long,
        "chat": chat,
        "decode": None if task.method.scores else definition.decode.protocol(),
        "answer_trigger": None if task.method.scores else definition.prompt.answer_trigger,
        "method": [task.method.name, task.method.version, task.method_options.model_dump(mode="json", exclude=listed)],
        **({"tools": [tool.facts for tool in task.tools]} if task.tools else {}),
        "repeats": [definition.repeats, definition.reducer],
        "answer": _component(task.parser) if task.parser else None,
        "metrics": [_component(metric) for metric in task.metrics],
    }


def _document(task: Task, prompter: Prompter, samples: Sequence[Sample], number: int) -> dict[str, Any]:
    """What a model would be given for one written document, and what would be right."""
    sample, renderer = samples[number], task.renderer
    shown = min(task.definition.demonstrations.shots, SYNTHETIC_SHOTS)
    others = [samples[(number + 1 + step) % len(samples)] for step in range(shown)]
    turns = [renderer.demonstration(other, reasoned=task.method.reasoned) for other in others]
    reference = renderer.reference(sample)
    first, *others_asked = renderer.questions(sample)
    messages = prompter.messages(renderer.description(sample), turns, first)
    facts: dict[str, Any] = {
        "messages": [[message.role, message.content] for message in messages],
        "target": reference.target,
        "choices": [prompter.delimited(choice) for choice in reference.choices],
        "units": dict(reference.units),
    }
    if reference.facts:
        facts["facts"] = dict(reference.facts)
    if not prompter.chat:
        facts["text"] = prompter.plain(messages)
    if renderer.choices_in_question:
        facts["other_questions"] = others_asked
        facts["continuation"] = prompter.delimited(renderer.after_choice(sample))
    if task.definition.prompt.tools:
        facts["tools"] = [openai_tool(tool) for tool in renderer.tools(sample)]
    if task.definition.document:
        facts["document"] = renderer.document(sample)
    if task.judges:
        facts["judging"] = [judge.shown(sample, task.right_answer(reference)) for judge in task.judges]
    return facts


_LATER = ("reducer", "tolerance", "tokenizers", "where", "otherwise")
"""Options of metrics and parsers that came later than the first hashes: they count where they are set."""


def _component(component: Any) -> list[Any]:
    unset = {name for name in _LATER if getattr(component, name, "") is None}
    return [type(component).__name__, component.version, component.model_dump(mode="json", exclude=unset)]


def _perturbed(task: Task) -> list[Any]:
    """The perturbations, and the wordings that they may put in place of the question."""
    wordings = task.definition.prompt.wordings
    return [_component(each) for each in task.perturbations] + ([wordings] if wordings else [])


def _judge(judge: Judge, *, rendered: bool) -> list[Any]:
    """A judge by name, version and options, without the templates where the documents show what they render."""
    options = judge.model_dump(mode="json", exclude=set(judge.templated) if rendered else None)
    return [type(judge).__name__, judge.version, options]
