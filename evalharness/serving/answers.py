"""From what the model says to the parts of an answer: all at once, or as tokens come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evalharness.serving.forms import FINISH, Part, Usage
from evalharness.serving.logprobs import ScoredToken, Speller, completion_tokens, prompt_tokens
from evalharness.serving.service import Answered, Asked, Drawn, Finished
from evalharness.serving.text import StreamedText
from evalharness.types import Completion, Likelihood


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one request asks about each of its prompts."""

    asked: tuple[Asked, ...]
    n: int
    stop: tuple[str, ...]
    log_probabilities: int | None
    echo: bool
    speller: Speller | None

    def lead(self, place: int) -> str:
        """What stands before each text of the prompt at `place`."""
        return self.asked[place].prompt.text if self.echo else ""

    def parts(self, place: int, answered: Answered) -> list[Part]:
        """The choices of the prompt at `place`, each in one part."""
        prompt, lead = self.asked[place].prompt, self.lead(place)
        before = self._prompt_tokens(place, answered.likelihood)
        completions = answered.completions or (Completion(text="", finish_reason="length"),) * self.n
        return [
            Part(
                index=place * self.n + number,
                text=lead + completion.text,
                ids=completion.ids,
                prompt_ids=prompt.ids,
                first=True,
                tokens=None if before is None else (*before, *self._tokens(completion, len(lead))),
                reasoning=completion.reasoning,
                finish_reason=FINISH.get(completion.finish_reason, "stop"),
                stop=completion.stop,
            )
            for number, completion in enumerate(completions)
        ]

    def usage(self, answers: Mapping[int, Answered]) -> Usage:
        """Tokens of all prompts and completions; a backend without a tokenizer tells them itself."""
        prompts = completions = 0
        for place, answered in answers.items():
            ids = self.asked[place].prompt.ids
            told = answered.completions[0].usage.get("prompt_tokens", 0) if answered.completions else 0
            prompts += told if ids is None else len(ids)
            completions += sum(len(one.ids) or one.usage.get("completion_tokens", 0) for one in answered.completions)
        return Usage(prompts, completions)

    def _prompt_tokens(self, place: int, likelihood: Likelihood | None) -> tuple[ScoredToken, ...] | None:
        """Those that an answer shows; None where it shows no log-probabilities at all."""
        if self.log_probabilities is None or self.speller is None:
            return None
        if not self.echo:
            return ()
        prompt = self.asked[place].prompt
        return prompt_tokens(self.speller, prompt.ids or (), prompt.text, likelihood or Likelihood((), ()))

    def _tokens(self, completion: Completion, lead: int) -> tuple[ScoredToken, ...]:
        assert self.speller is not None
        return completion_tokens(self.speller, completion, self.log_probabilities or 0, lead)


class Stream:
    """The parts of a streamed answer.

    Log-probabilities are known only with the finished text, so a choice with them comes in one part.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._choices: dict[int, _Choice] = {}
        self.answers: dict[int, Answered] = {}
        """By place."""

    def parts(self, events: Sequence[Drawn | Finished]) -> Iterator[Part]:
        """What there is to send after these events."""
        for event in events:
            if isinstance(event, Finished):
                self.answers[event.place] = event.answered
        if self._plan.log_probabilities is None:
            # Tokens that were told after the answer had been are in the answer.
            yield from self._grown([e for e in events if isinstance(e, Drawn) and e.place not in self.answers])
        for event in events:
            if isinstance(event, Finished):
                for part in self._plan.parts(event.place, event.answered):
                    choice = self._choices.pop(part.index, None)
                    yield part if choice is None else choice.rest(part)

    def _grown(self, drawn: Sequence[Drawn]) -> Iterator[Part]:
        plan = self._plan
        if plan.speller is None:
            return
        touched: dict[int, _Choice] = {}
        for event in drawn:
            index = event.place * plan.n + event.number
            if index not in self._choices:
                text = StreamedText(plan.speller.decode, plan.stop, plan.lead(event.place))
                self._choices[index] = _Choice(index, plan.asked[event.place].prompt.ids, text)
            choice = touched[index] = self._choices[index]
            choice.push(event.ids)
        for choice in touched.values():
            if part := choice.grown():
                yield part


class _Choice:
    """A streamed choice that is not finished."""

    def __init__(self, index: int, prompt_ids: tuple[int, ...] | None, text: StreamedText) -> None:
        self._index = index
        self._prompt_ids = prompt_ids
        self._text = text
        self._ids: list[int] = []
        self._sent = 0
        """Ids that were in a part."""
        self._begun = False

    def push(self, ids: Sequence[int]) -> None:
        self._ids += ids
        self._text.push(ids)

    def grown(self) -> Part | None:
        """What can be sent now; None where no text can."""
        text = self._text.take()
        if not text:
            return None
        part = Part(
            index=self._index,
            text=text,
            ids=tuple(self._ids[self._sent :]),
            prompt_ids=self._prompt_ids,
            first=not self._begun,
        )
        self._sent = len(self._ids)
        self._begun = True
        return part

    def rest(self, whole: Part) -> Part:
        """What is left of the finished choice."""
        return replace(whole, text=self._text.rest(whole.text), ids=whole.ids[self._sent :], first=not self._begun)
