"""A loaded model of the library `transformers`, and how it is called: padded batches in, logits or texts out.

Letters in names: R rows, T tokens of the longest, K positions that are kept, V the vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from evalharness.backends.huggingface_checkpoint import eos_ids, text_config, vocab_size
from evalharness.backends.huggingface_tokenizer import appends_eos
from evalharness.errors import DataError

Ids = Sequence[int]


class LoadedModel:
    """A causal or encoder-decoder model with the facts that decide how it is called.

    Args:
        model: of the library, or one that `peft` has put an adapter on.
        tokenizer: the library's.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._holders = [holder for holder in dict.fromkeys((model, inner)) if "generation_config" in vars(holder)]
        self.learned_prompt = bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))
        """Whether an adapter puts a prompt of its own before every sequence."""
        self._takes = inspect.signature(inner.forward).parameters.keys()
        self.config = inner.config
        self.encoder_decoder = bool(self.config.is_encoder_decoder)
        own = getattr(inner, "generation_config", None)
        self.eos_ids = eos_ids(self.config, own)
        self.encoder_end: tuple[int, ...] = ()
        """What the tokenizer would put behind a text that the encoder reads."""
        self._start = 0
        if self.encoder_decoder:
            self.encoder_end = (tokenizer.eos_token_id,) if appends_eos(tokenizer) else ()
            self._start = _decoder_start(own, self.config)
        pad = tokenizer.pad_token_id
        self._pad = pad if pad is not None and pad < self.vocab_size else 0
        """Anything does: padding is masked."""

    @property
    def vocab_size(self) -> int:
        size = vocab_size(self.config)
        return size if size is not None else int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def keeps(self) -> bool:
        """Whether the model computes the logits of some positions only, where it is told to."""
        return "logits_to_keep" in self._takes and not self.encoder_decoder

    @property
    def half(self) -> bool:
        """Whether it computes in a type of 16 bits."""
        return self.model.get_input_embeddings().weight.dtype not in (torch.float32, torch.float64)

    def decoder_ids(self, ids: Ids) -> tuple[int, ...]:
        """What the decoder of an encoder-decoder model is fed, the token behind which the first one is said at its
        beginning."""
        return (self._start, *ids)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; afterwards every module is in the mode that it was in."""
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        try:
            # Not `inference_mode`: what a model keeps of a pass (rotary tables) must do for training too.
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True

    def logits(self, encoders: Sequence[Ids], fed: Sequence[Ids], kept: Sequence[int]) -> Iterator[Tensor]:
        """Of each row the logits at the last `kept` positions of what it is fed, [K, V].

        `encoders` is what the encoder reads, empty for a model without one.
        """
        options: dict[str, Any] = {"use_cache": False} if "use_cache" in self._takes else {}
        if self.encoder_decoder:
            # From the right: positions that are learned are counted from the left, whatever is masked.
            ids_RT, mask_RT = self._padded(encoders, left=False)
            decoder_RT, decoder_mask_RT = self._padded(fed, left=False)
            logits_RTV = self.model(
                input_ids=ids_RT,
                attention_mask=mask_RT,
                decoder_input_ids=decoder_RT,
                decoder_attention_mask=decoder_mask_RT,
                **options,
            ).logits
            ends = [len(row) for row in fed]
        else:
            ids_RT, mask_RT = self._padded(fed, left=True)
            if self.keeps:
                options["logits_to_keep"] = max(kept)
            if "position_ids" in self._takes:
                options["position_ids"] = (mask_RT.cumsum(-1) - 1).clamp(min=0)
            logits_RTV = self.model(input_ids=ids_RT, attention_mask=mask_RT, **options).logits
            ends = [logits_RTV.shape[1]] * len(fed)
        for row, (end, count) in enumerate(zip(ends, kept, strict=True)):
            yield logits_RTV[row, end - count : end]

    def generate(
        self,
        prompts: Sequence[Ids],
        most: int,
        choose: Callable[[Tensor, Tensor], Tensor],
        stopped: Callable[..., Tensor],
    ) -> None:
        """Let the library go on from the prompts, up to `most` tokens.

        `choose` is its logits processor: it takes all tokens so far and the next logits [R, V], and leaves one token a
        row that is possible. `stopped` is its stopping criterion: which rows are done. The settings that came with the
        model (penalties, a temperature, forced tokens) are not used.
        """
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        ids_RT, mask_RT = self._padded(
            [(*prompt, *self.encoder_end) for prompt in prompts], left=not self.encoder_decoder
        )
        plain = GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            use_cache=True,
            pad_token_id=self._pad,
            decoder_start_token_id=self._start if self.encoder_decoder else None,
        )
        # What a configuration leaves open is taken from the model's own: for this call that one is plain too.
        own = [(holder, holder.generation_config) for holder in self._holders]
        try:
            for holder in self._holders:
                holder.generation_config = plain
            self.model.generate(
                input_ids=ids_RT,
                attention_mask=mask_RT,
                generation_config=plain,
                logits_processor=LogitsProcessorList([choose]),
                stopping_criteria=StoppingCriteriaList([stopped]),
            )
        finally:
            for holder, config in own:
                holder.generation_config = config

    def _padded(self, rows: Sequence[Ids], *, left: bool) -> tuple[Tensor, Tensor]:
        """Ids and mask, [R, T]."""
        longest = max(map(len, rows))
        ids, mask = [], []
        for row in rows:
            filler = [self._pad] * (longest - len(row))
            ids.append([*filler, *row] if left else [*row, *filler])
            zeros, ones = [0] * len(filler), [1] * len(row)
            mask.append(zeros + ones if left else ones + zeros)
        device = self.model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _decoder_start(generation_config: Any, config: Any) -> int:
    for name in ("decoder_start_token_id", "bos_token_id"):
        for source in (generation_config, config, text_config(config)):
            if (id := getattr(source, name, None)) is not None:
                return int(id)
    raise DataError("the model's configuration names no decoder_start_token_id, which its decoder begins with.")
