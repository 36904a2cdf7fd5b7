"""Methods that ask how likely the model finds given texts."""

from __future__ import annotations

from evalharness.elicitation.base import Ask, Method, NoOptions
from evalharness.types import Attempt


async def _choice_likelihood(ask: Ask, options: NoOptions) -> Attempt:
    """Score every choice as a continuation of the same context; or, where the choices stand in the question,
    the same continuation after each of them."""
    choices = ask.reference.choices
    if ask.renderer.choices_in_question:
        contexts = [ask.context(choice) for choice in choices]
        likelihoods = await ask.score_after(contexts, ask.renderer.after_choice(ask.sample))
    else:
        likelihoods = await ask.score(ask.context(), choices)
    return Attempt(calls=tuple(ask.calls), likelihoods=likelihoods)


async def _continuation_likelihood(ask: Ask, options: NoOptions) -> Attempt:
    """Score the one right continuation, and see whether greedy decoding would have said it."""
    likelihoods = await ask.score(ask.context(), [str(ask.reference.target)])
    return Attempt(calls=tuple(ask.calls), likelihoods=likelihoods)


async def _rolling_likelihood(ask: Ask, options: NoOptions) -> Attempt:
    """Score every token of a document, in windows of the model's context."""
    likelihood = await ask.score_document(ask.renderer.document(ask.sample))
    return Attempt(calls=tuple(ask.calls), likelihoods=(likelihood,))


choice_likelihood = Method(name="choice_likelihood", run=_choice_likelihood, needs="choices", scores=True)
continuation_likelihood = Method(
    name="continuation_likelihood", run=_continuation_likelihood, needs="continuation", scores=True
)
rolling_likelihood = Method(
    name="rolling_likelihood", run=_rolling_likelihood, needs="document", scores=True, demonstrations="none"
)
