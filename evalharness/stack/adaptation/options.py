"""The YAML of a fine-tuning: what is trained further, on which conversations, towards what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from evalharness.stack.adaptation.lora_options import LoraOptions
from evalharness.stack.corpus.options import Section
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.options import TrainingOptions

BETA, LABEL_SMOOTHING = 0.1, 0.0
"""Of DPO unless given; the first as Rafailov et al. 2023."""


class ChatSource(Section):
    """Files of conversations of one kind; a mixture weighs sources by their names."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    paths: tuple[str, ...] = Field(min_length=1)
    """Files, folders and patterns (``chats/*.jsonl``), from the folder of the YAML on: .jsonl, .ndjson, both also .gz,
    and .parquet."""
    weight: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Share of the sequences that are drawn from it, relative to the other sources' weights; its own number of
    sequences where no source has a weight."""


class HeldOutChats(Section):
    """Conversations on which the loss is told, and from which nothing is learned: one of the three."""

    share: float | None = Field(default=None, gt=0, lt=1)
    """Of each source's conversations."""
    conversations: int | None = Field(default=None, ge=1)
    """Of each source."""
    paths: tuple[str, ...] = ()
    """Files of their own, as a source's."""
    seed: int = Field(default=0, ge=0)
    """Which conversations. It is not the training's, so that trainings with different seeds can be compared."""

    @model_validator(mode="after")
    def _one(self) -> HeldOutChats:
        if [bool(self.share), bool(self.conversations), bool(self.paths)].count(True) != 1:
            raise ValueError("validation: give one of share, conversations and paths.")
        return self


class ChatDataOptions(Section):
    """What a model learns to say."""

    sources: tuple[ChatSource, ...] = Field(min_length=1)
    context: int = Field(ge=2)
    """Tokens that the model reads at once."""
    packing: Literal["best_fit", "none"] | None = None
    """``best_fit``, which `sft` takes unless told otherwise: several conversations in a sequence, none of which sees
    another one (best fit decreasing, Ding et al. 2024, arXiv 2404.10830); ``none``: each is a sequence."""
    too_long: Literal["refuse", "cut", "drop"] = "refuse"
    """What is done with a conversation that the context does not hold: the end of the command, its end cut off, or left
    out; both of the latter are counted."""
    validation: HeldOutChats | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ChatDataOptions:
        names = [source.name for source in self.sources]
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"sources: the name '{doubled}' is given twice.")
        weighted = [source.weight is not None for source in self.sources]
        if any(weighted) and not all(weighted):
            raise ValueError("sources: give every source a weight, or none.")
        return self


class TuningObjective(Section):
    """Towards what a model is trained.

    - ``sft``: it says what the assistant says; the loss is the mean over the tokens of answers in a step.
    - ``dpo``: it prefers what was chosen to what was rejected, beside the model that it was (Rafailov et al. 2023,
      arXiv 2305.18290): with D the sum of the log-probabilities of an answer's tokens minus the same by the reference,
      chosen minus rejected, the loss is ``-(1 - s) log sigmoid(beta D) - s log sigmoid(-beta D)``.
    """

    name: Literal["sft", "dpo"] = "sft"
    answers: Literal["all", "last"] | None = None
    """``sft``: which of the assistant's turns are learned; all unless given."""
    beta: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """``dpo``: how strongly the reference holds; 0.1 unless given."""
    label_smoothing: float | None = Field(default=None, ge=0, lt=0.5)
    """``dpo``: the share s of pairs that are thought to be the wrong way round (cDPO, Mitchell 2023); 0 unless
    given."""

    @model_validator(mode="after")
    def _known(self) -> TuningObjective:
        taken = {"sft": ("answers",), "dpo": ("beta", "label_smoothing")}[self.name]
        for name in type(self).model_fields:
            if name not in ("name", *taken) and getattr(self, name) is not None:
                raise ValueError(f"{self.name} takes no {name}; it takes: {', '.join(taken)}.")
        return self


class FinetuneOptions(TrainingOptions):
    """The YAML of a fine-tuning; paths are from the folder of the YAML on."""

    model: str = Field(min_length=1)
    """What is trained further: a checkpoint's folder, a GGUF file, or smollm2."""
    template: str = "own"
    """How a conversation is written: ``own``, the tokenizer's chat template; ``plain``, the messages' texts as they
    are, each answer ended by the EOS; ``dialogue``, ``User: ...`` and ``Assistant: ...``; or a file with a template of
    jinja2, which ends in .jinja. Checkpoints have it as their chat template."""
    data: ChatDataOptions
    objective: TuningObjective = TuningObjective()
    adapter: LoraOptions | None = None
    """Train a low-rank adapter in place of the model's own weights."""
    trained: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Patterns of the parameters' names that are trained, such as ``blocks.29.*``; the others stay as they are."""
    steps: int = Field(default=0, ge=0)
    """Give this or `epochs`."""
    epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How often as many sequences as there are are drawn, in place of `steps`."""
    optimizer: tuple[OptimizerRule, ...] = Field(default=(OptimizerRule(rate=2e-5),), min_length=1)
    balance_loss: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    """``sft``: times the balance of the model's experts, added to the loss where it has some."""

    @model_validator(mode="after")
    def _consistent(self) -> FinetuneOptions:
        if bool(self.steps) == (self.epochs is not None):
            raise ValueError("give steps or epochs, one of them.")
        if self.adapter is not None and self.trained != ("*",):
            raise ValueError("an adapter trains what it adds; leave trained out, or the adapter.")
        if self.objective.name == "dpo" and self.data.packing == "best_fit":
            raise ValueError("data.packing: pairs of answers are not packed; leave it out.")
        return self
