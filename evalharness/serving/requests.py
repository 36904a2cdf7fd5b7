"""What a client may send: the fields of each endpoint, checked where they come in.

A field that is not known here is refused, because one that is passed over would change the result unseen. Fields
that change no result are passed over, and so are known ones whose value asks for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from evalharness.errors import DataError
from evalharness.options import Options, parse_options
from evalharness.prompting.functions import function_schemas
from evalharness.types import Message, ToolSchema

LARGEST_ID = 2**31 - 1
_WITHOUT_EFFECT = frozenset(
    {"user", "metadata", "store", "service_tier", "prompt_cache_key", "safety_identifier", "prediction", "priority"}
)
_ASKS_FOR_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "add_special_tokens": (True,),
    "audio": (),
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prompt_logprobs": (),
    "reasoning_effort": (),
    "skip_special_tokens": (True,),
    "stop_token_ids": ([],),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "truncate_prompt_tokens": (),
    "use_beam_search": (False,),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields that an endpoint does not offer, and the values that ask for nothing."""

T = TypeVar("T", bound="Body")


class Sent(Options):
    """A JSON object of a client. What is null counts as left out."""

    # Python's JSON knows NaN and Infinity.
    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None}


class Body(Sent):
    """What every request has."""

    model: str | None = None
    """The served name; may be left out."""


def parsed(body: type[T], raw: bytes) -> T:
    """The request that a client sent as JSON.

    Raises:
        DataError: it is not JSON, or a field is wrong, unknown or not offered.
    """
    try:
        text = raw.decode()
        values = json.loads(text)
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError("the request has half of a surrogate pair, which is no character; take it out.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"the request is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise DataError('the request is no JSON object; send one, such as {"prompt": "..."}.')
    return parse_options(body, values, "request")


# --------------------------------------------------------------------------- values of several forms


def _prompts(value: Any) -> Any:
    """Every form of a prompt as a tuple of texts, or of token ids."""
    if isinstance(value, str):
        return (value,)
    if _are(value, str):
        return tuple(value)
    if _are(value, int):
        return (tuple(value),)
    if isinstance(value, list) and value and all(_are(item, int) for item in value):
        return tuple(tuple(item) for item in value)
    raise ValueError("give a text, a list of texts, a list of token ids, or a list of such lists; none may be empty.")


def _are(value: Any, kind: type) -> bool:
    """Whether it is a list of at least one value, all of this type; ids are in the range of ids besides."""
    if not isinstance(value, list) or not value or any(type(item) is not kind for item in value):
        return False
    return kind is not int or (min(value) >= 0 and max(value) <= LARGEST_ID)


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _content(value: Any) -> Any:
    """A message's text, which may come in parts."""
    if not isinstance(value, list):
        return value
    if any(not isinstance(part, dict) or part.get("type") != "text" or "text" not in part for part in value):
        raise ValueError('this server takes text only: each part is {"type": "text", "text": "..."}.')
    return "".join(str(part["text"]) for part in value)


class StreamOptions(Sent):
    include_usage: bool = False
    """A last event with the tokens of the whole request."""


class JsonSchema(Sent):
    name: str = ""
    description: str | None = None
    strict: bool | None = None
    """Texts are held to the schema whether or not."""
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(Sent):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("the type json_schema and the key json_schema belong together.")
        return self


# --------------------------------------------------------------------------- generating


class Generation(Body):
    """What completions and chat completions share."""

    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=-1)
    """0 and -1 keep every token."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    logit_bias: dict[int, float] = Field(default_factory=dict)
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_many)] = ()
    seed: int | None = None
    n: int = Field(default=1, ge=1, le=128)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    response_format: ResponseFormat | None = None
    guided_json: dict[str, Any] | None = None
    guided_regex: str | None = None
    return_token_ids: bool = False

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_passed_over(cls, values: Any) -> Any:
        passed_over = (_ASKS_FOR_NOTHING.keys() | _WITHOUT_EFFECT) - cls.model_fields.keys()
        for name, neutral in _ASKS_FOR_NOTHING.items():
            if name in passed_over and values.get(name) is not None and values[name] not in neutral:
                raise ValueError(f"{name}: this server does not offer it; leave it out.")
        return {key: value for key, value in values.items() if key not in passed_over}

    @model_validator(mode="after")
    def _one_form(self) -> Generation:
        formats = self.response_format is not None and self.response_format.type != "text"
        if formats + (self.guided_json is not None) + (self.guided_regex is not None) > 1:
            raise ValueError("response_format, guided_json and guided_regex exclude one another; give one of them.")
        return self

    @property
    def json_schema(self) -> str | None:
        """The schema that texts are held to, as JSON."""
        if self.guided_json is not None:
            return json.dumps(self.guided_json)
        if self.response_format is None or self.response_format.type == "text":
            return None
        schema = self.response_format.json_schema
        return json.dumps({"type": "object"} if schema is None else schema.schema_)


class CompletionBody(Generation):
    """``POST /v1/completions``."""

    prompt: Annotated[tuple[str | tuple[int, ...], ...], BeforeValidator(_prompts)]
    max_tokens: int = Field(default=16, ge=0)
    logprobs: int | None = Field(default=None, ge=0, le=100)
    echo: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> CompletionBody:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens is 0, so there would be no text; ask for at least 1, or for echo.")
        return self


class ChatMessage(Sent):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_content)]

    @property
    def message(self) -> Message:
        return Message("system" if self.role == "developer" else self.role, self.content)


class ChatBody(Generation):
    """``POST /v1/chat/completions``."""

    messages: tuple[ChatMessage, ...] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Goes before `max_tokens`."""
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=100)
    tools: tuple[dict[str, Any], ...] = ()
    """Functions that the chat template shows; what the model says to them is text."""
    tool_choice: Literal["none", "auto"] = "auto"

    @model_validator(mode="after")
    def _asks_for_what_it_counts(self) -> ChatBody:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs; set logprobs to true.")
        return self

    @property
    def functions(self) -> tuple[ToolSchema, ...]:
        """
        Raises:
            DataError: a tool is no function with a name.
        """
        return function_schemas(self.tools, "request: tools") if self.tool_choice == "auto" else ()

    @property
    def log_probabilities(self) -> int | None:
        return self.top_logprobs if self.logprobs else None


# --------------------------------------------------------------------------- tokens


class TokenizeBody(Body):
    """``POST /tokenize``."""

    prompt: str | None = None
    messages: tuple[ChatMessage, ...] | None = Field(default=None, min_length=1)
    add_special_tokens: bool = True

    @model_validator(mode="after")
    def _one_text(self) -> TokenizeBody:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give the text as prompt, or a conversation as messages, and not both.")
        return self


class DetokenizeBody(Body):
    """``POST /detokenize``."""

    tokens: tuple[int, ...]

    @field_validator("tokens")
    @classmethod
    def _are_ids(cls, tokens: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= id <= LARGEST_ID for id in tokens):
            raise ValueError(f"a token id is a whole number from 0 to {LARGEST_ID}.")
        return tokens
