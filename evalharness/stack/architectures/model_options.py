"""The section `model` of a pretraining's YAML: a decoder, or what its key `architecture` names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from evalharness.stack.architectures.encoder_decoder_options import EncoderDecoderOptions
from evalharness.stack.architectures.mamba_options import MambaOptions
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.by_name import ByName

ARCHITECTURES = {"decoder": ModelOptions, "encoder_decoder": EncoderDecoderOptions, "mamba": MambaOptions}

AnyModelOptions = Annotated[
    ModelOptions | EncoderDecoderOptions | MambaOptions,
    BeforeValidator(ByName("architecture", "architecture", ARCHITECTURES)),
]
