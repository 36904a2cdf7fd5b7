"""Filters for tasks that ask for calls of functions: how the Berkeley function-calling leaderboard shows its functions.

The words are those of BFCL v4 (Patil et al. 2025; package bfcl-eval, release 2026.3.23): the default prompt of models
without native calls, the hints that each language adds to the documents, and the types of native functions.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalharness.answers.function_calls.calls import FunctionCall, to_json
from evalharness.answers.function_calls.foreign_syntax import read_foreign
from evalharness.answers.function_calls.writing import Language, write_calls

Document = Mapping[str, Any]
"""``{name, description, parameters: {type, properties, required}}``."""
GroundTruth = Mapping[str, Mapping[str, Sequence[Any]]]
"""``{name: {argument: [right value, ...]}}``."""

_SYSTEM_PROMPT = """\
You are an expert in composing functions.You are given a question and a set of possible functions. Based on the \
question, you will need to make one or more function/tool calls to achieve the purpose. If none of the functions can \
be used, point it out. If the given question lacks the parameters required by the function, also point it out.

You should only return the function calls in your response.

If you decide to invoke any of the function(s), you MUST put it in the format of \
[func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)].  You SHOULD NOT include \
any other text in the response.

At each turn, you should try your best to complete the tasks requested by the user within the current turn. Continue \
to output functions to call until you have fulfilled the user's request to the best of your ability. Once you have no \
more functions to call, the system will consider the current turn complete and proceed to the next turn or task.

Here is a list of functions in json format that you can invoke.
"""

_SYNTAX = {"python": "Python 3", "java": "Java 8 SDK", "javascript": "JavaScript"}
_SPOKEN = {"java": "Java", "javascript": "JavaScript"}

_JSON_TYPES = {
    "integer": "integer", "number": "number", "float": "number", "string": "string", "boolean": "boolean",
    "bool": "boolean", "array": "array", "list": "array", "dict": "object", "object": "object", "tuple": "array",
    "any": "string", "byte": "integer", "short": "integer", "long": "integer", "double": "number", "char": "string",
    "ArrayList": "array", "Array": "array", "HashMap": "object", "Hashtable": "object", "Queue": "array",
    "Stack": "array", "Any": "string", "String": "string", "Bigint": "integer",
}  # fmt: skip
"""BFCL's types in the words of JSON schema; another one is a string."""


def bfcl_system_prompt(
    functions: Sequence[Document], messages: Sequence[Mapping[str, str]], language: Language = "python"
) -> str:
    """The default prompt with the functions; a system message of the question's own comes after it."""
    own = f"\n\n{messages[0]['content']}" if messages and messages[0]["role"] == "system" else ""
    return f"{_SYSTEM_PROMPT}{json.dumps(bfcl_functions(functions, language), indent=4)}\n{own}"


def bfcl_question(messages: Sequence[Mapping[str, str]]) -> str:
    """What the user says. Of a conversation the turns are put one below the other, since a question is one turn."""
    return "\n\n".join(message["content"] for message in messages if message["role"] != "system")


def bfcl_functions(functions: Sequence[Document], language: Language = "python") -> list[dict[str, Any]]:
    """The documents as a model is shown them: with the hint of their language.

    Parameters of Java and JavaScript are declared as texts, and their descriptions say what the texts spell.
    """
    shown = copy.deepcopy(list(map(dict, functions)))
    for document in shown:
        document["description"] += f" Note that the provided function is in {_SYNTAX[language]} syntax."
        if language != "python":
            for parameter in document["parameters"]["properties"].values():
                _spell_out(parameter, language)
    return shown


def _spell_out(parameter: dict[str, Any], language: Language) -> None:
    """Declare a parameter as a text, and say in its description of what type it is."""
    declared, spoken = parameter["type"], _SPOKEN[language]
    if declared == "any":
        said = f" This parameter can be of any type of {spoken} object in string representation."
    else:
        said = f" This is {spoken} {declared} type parameter in string representation."
    if declared in ("ArrayList", "Array", "array"):
        item = parameter.pop("items")["type"]
        said += f" The list elements are of type {item}; they are not in string representation."
    if declared == "dict" and "properties" in parameter:
        schema = json.dumps(parameter.pop("properties"))
        said += f" The dictionary entries have the following schema; they are not in string representation. {schema}"
    parameter["description"] += said
    parameter["type"] = "string"


def bfcl_tools(functions: Sequence[Document], language: Language = "python") -> list[dict[str, Any]]:
    """The documents as BFCL hands them over natively: types of JSON schema, and names with _ in place of their dots."""
    tools = bfcl_functions(functions, language)
    for tool in tools:
        tool["name"] = tool["name"].replace(".", "_")
        tool["parameters"]["type"] = "object"
        _retype_all(tool["parameters"]["properties"])
    return tools


def _retype_all(properties: dict[str, dict[str, Any]]) -> None:
    for schema in properties.values():
        if schema.get("type") == "float":
            schema["format"] = "float"
            schema["description"] += " This is a float type value."
        _retype(schema)


def _retype(schema: dict[str, Any]) -> None:
    schema["type"] = _JSON_TYPES.get(schema.get("type", "string"), "string")
    if schema["type"] in ("array", "object") and "properties" in schema:
        _retype_all(schema["properties"])
    elif schema["type"] in ("array", "object") and "items" in schema:
        _retype(schema["items"])


def right_calls(
    ground_truth: Sequence[GroundTruth], functions: Sequence[Document], language: Language = "python"
) -> str:
    """A right answer: each call with the first right value of every argument, without those that may be left out."""
    types = {document["name"]: document["parameters"].get("properties", {}) for document in reversed(functions)}
    return write_calls(_right(ground_truth, functions), language, types)


def right_native_calls(
    ground_truth: Sequence[GroundTruth], functions: Sequence[Document], language: Language = "python"
) -> str:
    """The same as a server hands calls over: JSON, names with _ for their dots, Java and JavaScript as source texts."""
    calls = _right(ground_truth, functions)
    if language != "python":
        calls = read_foreign(right_calls(ground_truth, functions, language), language)
    return to_json([FunctionCall(call.name.replace(".", "_"), call.arguments) for call in calls])


def _right(ground_truth: Sequence[GroundTruth], functions: Sequence[Document]) -> list[FunctionCall]:
    required = {document["name"]: document["parameters"].get("required", ()) for document in reversed(functions)}
    return [
        FunctionCall(
            name,
            {
                key: _first_right(values)
                for key, values in arguments.items()
                if "" not in values or key in required[name]
            },
        )
        for call in ground_truth
        for name, arguments in call.items()
    ]


def _first_right(values: Sequence[Any]) -> Any:
    """A right value of an argument."""
    value = _first(values)
    return [_mapping(each) for each in value] if isinstance(value, list) else _mapping(value)


def _mapping(value: Any) -> Any:
    """Of a mapping a right one: its keys have right values each."""
    if not isinstance(value, dict):
        return value
    listed = {key: options if isinstance(options, list) else [options] for key, options in value.items()}
    return {key: _first(options) for key, options in listed.items() if "" not in options}


def _first(values: Sequence[Any]) -> Any:
    """The first that is not "", which says that nothing need be given."""
    return next((value for value in values if value != ""), "")


def signatures(functions: Sequence[Document]) -> list[dict[str, Any]]:
    """The documents without their prose: what is needed to tell whether a call is right."""
    return [
        {
            "name": document["name"],
            "parameters": {
                "properties": {
                    name: {key: each[key] for key in ("type", "items") if key in each}
                    for name, each in document["parameters"].get("properties", {}).items()
                },
                "required": document["parameters"].get("required", []),
            },
        }
        for document in functions
    ]


def as_json(value: Any) -> str:
    """JSON with the keys in their own order and nothing escaped."""
    return json.dumps(value, ensure_ascii=False)


FILTERS: dict[str, Callable[..., Any]] = {
    "as_json": as_json,
    "bfcl_question": bfcl_question,
    "bfcl_system_prompt": bfcl_system_prompt,
    "bfcl_tools": bfcl_tools,
    "right_calls": right_calls,
    "right_native_calls": right_native_calls,
    "signatures": signatures,
}
