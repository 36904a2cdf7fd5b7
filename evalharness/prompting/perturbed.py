"""A task's questions, perturbed: the same rows and the same right answers, put in another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.prompting.options import PromptOptions
from evalharness.prompting.perturbations.base import Perturbation, Wording, stream
from evalharness.prompting.prompter import Renderer, Turn, row_values
from evalharness.prompting.templates import CHANGE, Template, turn_template
from evalharness.types import Reference, Sample

_CHOICE = "\ue000"
"""Stands for a choice while the words around it are perturbed: a sign for private use, which is no letter."""


class PerturbedRenderer(Renderer):
    """A `Renderer` whose questions are perturbed; demonstrations and right answers are not, unless asked.

    What the row brings into the question is changed, never the task's own words around it. Where options are shown
    in another order, what is right moves along, and letters stay where they are.

    Raises:
        UsageError: a perturbation finds nothing in this task that it could change without changing what is right.
    """

    def __init__(
        self, prompt: PromptOptions, *, task: str, perturbations: Sequence[Perturbation], **sections: Any
    ) -> None:
        """`sections` are those of `Renderer`; `task` is the name that decides the draws."""
        super().__init__(prompt, **sections)
        self._task = task
        self._perturbations = tuple(perturbations)
        self._texts = [each for each in perturbations if type(each).text is not Perturbation.text]
        self._orders = [each for each in perturbations if type(each).order is not Perturbation.order]
        self._wordings = [each for each in perturbations if type(each).wording is not Perturbation.wording]
        place = f"{self.where}: prompt"
        self._changing: dict[str | None, Template] = {
            name: Template(source, f"{place}.wordings.{name}", changing=True)
            for name, source in prompt.wordings.items()
        }
        self._changing[None] = Template(prompt.question, f"{place}.question", changing=True)
        self._check()
        shown = [each for each in perturbations if each.demonstrations]
        self._shown_as_demonstrations = (
            self
            if len(shown) == len(self._perturbations)
            else PerturbedRenderer(prompt, task=task, perturbations=shown, **sections)
        )

    def demonstration(self, sample: Sample, *, reasoned: bool) -> Turn:
        if self._shown_as_demonstrations is self:
            return super().demonstration(sample, reasoned=reasoned)
        return self._shown_as_demonstrations.demonstration(sample, reasoned=reasoned)

    def reference(self, sample: Sample) -> Reference:
        """What scoring needs, the options in the order in which they are shown."""
        found = super().reference(sample)
        order = self._order(sample, len(found.choices))
        if not order:
            return found
        target = found.target
        moved: int | tuple[int, ...] = (
            tuple(order.index(int(position)) for position in target)
            if isinstance(target, tuple)
            else order.index(int(target or 0))
        )
        lettered = self._lettered is not None and found.choices != super()._shown_options(sample, row_values(sample))
        choices = found.choices if lettered else tuple(found.choices[position] for position in order)
        return replace(found, target=moved, choices=choices, order=order)

    def _asked(self, sample: Sample, values: Mapping[str, Any]) -> str:
        template = self._changing[self._wording(sample).question]
        if not self.choices_in_question:
            return self._rendered(template, sample, values)
        # Every choice is put in the place of one sign, so that the words around it are perturbed alike for all.
        held = {**values, "choice": _CHOICE}
        if template({**held, CHANGE: _unchanged}).replace(_CHOICE, values["choice"]) != template(
            {**values, CHANGE: _unchanged}
        ):
            raise DataError(f"{template.where}: a question that changes its choice cannot be perturbed.")
        return self._rendered(template, sample, held).replace(_CHOICE, values["choice"])

    def _rendered(self, template: Template, sample: Sample, values: Mapping[str, Any]) -> str:
        numbers = count()

        def change(value: Any) -> Any:
            if not isinstance(value, str):
                return value
            number = next(numbers)
            for perturbation in self._texts:
                value = perturbation.text(value, stream(perturbation, self._task, sample.id, number))
            return value

        return template({**values, CHANGE: change})

    def _shown_options(self, sample: Sample, values: Mapping[str, Any]) -> tuple[str, ...]:
        options = super()._shown_options(sample, values)
        return tuple(options[position] for position in self._order(sample, len(options)) or range(len(options)))

    def _around(self, sample: Sample) -> Template:
        name = self._wording(sample).template
        return turn_template(name) if name else super()._around(sample)

    def _order(self, sample: Sample, options: int) -> tuple[int, ...]:
        """The former position of each option; nothing where no order is perturbed."""
        if not self._orders:
            return ()
        order = tuple(range(options))
        for perturbation in self._orders:
            moved = perturbation.order(options, stream(perturbation, self._task, sample.id))
            order = tuple(order[position] for position in moved)
        return order

    def _wording(self, sample: Sample) -> Wording:
        found = Wording()
        for perturbation in self._wordings:
            drawn = perturbation.wording([*self.options.wordings], stream(perturbation, self._task, sample.id))
            found = Wording(drawn.template or found.template, drawn.question or found.question)
        return found

    def _check(self) -> None:
        for each in self._texts:
            if not any(template.columns for template in self._changing.values()):
                raise UsageError(
                    f"{self.where}: the perturbation {each.perturbation} changes what a row says in the question, and "
                    "this task's question says nothing of it."
                )
        for each in self._wordings:
            each.wording([*self.options.wordings], stream(each, self._task, ""))
            self._check_template(getattr(each, "around", None))
        if self._orders:
            self._check_order(self._orders[0])

    def _check_template(self, name: str | None) -> None:
        if name == self.options.template:
            raise UsageError(f"{self.where}: the template '{name}' is the task's own; name another one.")
        if name is not None and ("options" in turn_template(name).columns) != (self._lettered is not None):
            told = "shows options, and this task has none" if self._lettered is None else "leaves out the options"
            raise UsageError(f"{self.where}: the template '{name}' {told} (prompt.options); name another one.")

    def _check_order(self, each: Perturbation) -> None:
        """Options may change places only where everything that shows or names them follows.

        Raises:
            UsageError: they cannot.
        """
        why = None
        choices = self._choices
        shown = self._question.columns - {"choice"}
        if choices is None:
            why = "this task has no section choices, which would say what is right"
        elif self._lettered is None:
            named = choices if isinstance(choices, list) else [choices]
            columns: frozenset[str] = frozenset().union(*(template.columns for template in named))
            if not columns:
                why = "its choices are the same for every sample and are in no list of the row (prompt.options)"
            elif columns & shown:
                why = f"its question shows the column '{min(columns & shown)}' itself, whose order cannot follow"
        if each.demonstrations and (self._answer or self._reasoned):
            why = "what its demonstrations answer is written in its own template, which cannot follow"
        if why:
            raise UsageError(f"{self.where}: the perturbation {each.perturbation} has nothing to reorder: {why}.")


def _unchanged(value: Any) -> Any:
    return value
