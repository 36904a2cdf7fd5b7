"""The models that a pretraining may have: decoders, encoder-decoders, and Mambas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from evalharness.stack.architectures.composed import MODEL_TYPE, composed_from_json, composed_to_json
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.encoder_decoder_options import EncoderDecoderOptions
from evalharness.stack.architectures.families.known import config_from_hub, hub_config
from evalharness.stack.architectures.initial import initialize, initialize_encoder_decoder
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.architectures.mamba_initial import initialize_mamba
from evalharness.stack.architectures.mamba_options import MambaOptions
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.costs import DTYPES
from evalharness.stack.training.encoder_decoder_model import EncoderDecoderTrainingModel
from evalharness.stack.training.mamba_model import MambaTrainingModel
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.options import PretrainOptions

TrainedConfig = ModelConfig | EncoderDecoderConfig | MambaConfig
TrainedModel = Decoder | EncoderDecoder | Mamba
LossModel = TrainingModel | EncoderDecoderTrainingModel | MambaTrainingModel


def build_model(options: PretrainOptions, config: TrainedConfig, device: torch.device) -> LossModel:
    """With the weights that a training begins with."""
    model = shaped(config)
    begin(model, options)
    return as_trained(options, model.to(device))


def shaped(config: TrainedConfig) -> TrainedModel:
    """With numbers that mean nothing."""
    if isinstance(config, MambaConfig):
        return Mamba(config)
    return EncoderDecoder(config) if isinstance(config, EncoderDecoderConfig) else Decoder(config)


def as_trained(options: PretrainOptions, model: TrainedModel) -> LossModel:
    """What computes the losses of a model by the arithmetic that the options ask for."""
    arguments: dict[str, Any] = {
        "z_loss": options.z_loss,
        "embedding_gradient": options.embedding_gradient,
        "dtype": DTYPES[options.compute.precision],
        "recompute": options.compute.recompute == "blocks",
        "compiled": options.compute.compile,
    }
    if isinstance(model, EncoderDecoder):
        return EncoderDecoderTrainingModel(model, **arguments)
    if isinstance(model, Mamba):
        return MambaTrainingModel(model, **arguments)
    return TrainingModel(model, balance_loss=options.balance_loss, tells_experts=True, **arguments)


def check_objective(options: PretrainOptions, config: TrainedConfig) -> None:
    """Raises:
    TrainingError: a Mamba, which reads each token behind all before it, is to learn something else.
    """
    if not isinstance(config, MambaConfig):
        return
    if options.objective.name != "lm":
        raise TrainingError(f"objective: a Mamba reads from left to right and learns lm, not {options.objective.name}.")
    if options.data.boundaries:
        raise TrainingError(
            "data.boundaries: the state of a Mamba goes on from one document into the next; set boundaries: false."
        )


def begin(model: TrainedModel, options: PretrainOptions) -> None:
    """Give a model the weights that a training begins with."""
    if isinstance(model, EncoderDecoder):
        assert isinstance(options.model, EncoderDecoderOptions)
        initialize_encoder_decoder(model, options.seed, options.model.initial_factor)
    elif isinstance(model, Mamba):
        assert isinstance(options.model, MambaOptions)
        initialize_mamba(model, options.seed, options.model.initial_deviation)
    else:
        assert isinstance(options.model, ModelOptions)
        initialize(model, options.seed, options.model.initial_deviation)


def config_to_json(config: AnyConfig) -> dict[str, Any]:
    """Values by which a checkpoint tells of which model it is."""
    return composed_to_json(config) if isinstance(config, ModelConfig) else hub_config(config, "float32")


def config_from_json(values: Mapping[str, Any], where: str) -> TrainedConfig:
    """What `config_to_json` wrote; `where` names it in errors.

    Raises:
        CheckpointError: a key is missing or a value is wrong.
    """
    if values.get("model_type") == MODEL_TYPE:
        return composed_from_json(values, where)
    config = config_from_hub(values, where)
    assert isinstance(config, TrainedConfig)
    return config


def with_config_defaults(values: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """What a version wrote down of a model, with what has come since as it is by itself."""
    if values.get("model_type") != MODEL_TYPE:
        return values
    return composed_to_json(composed_from_json(values, where))
