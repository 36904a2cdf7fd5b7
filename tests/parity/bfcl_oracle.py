"""BFCL's own prompts, decoders and checker, out of the package bfcl-eval, without the clients that it drags in.

``pip install --no-deps bfcl-eval==2026.3.23`` is enough: of the table of models, whose import brings every client, the
checker reads one flag; and its parsers were written for tree-sitter 0.21, whose few calls are put over today's here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module, metadata, util
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

RELEASE = "2026.3.23"


class Oracle:
    """What the tests ask of BFCL."""

    def __init__(self) -> None:
        with _shims():
            self.utils = import_module("bfcl_eval.model_handler.utils")
            self.checker = import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
            self.java = import_module("bfcl_eval.eval_checker.ast_eval.type_convertor.java_type_converter")
            self.javascript = import_module("bfcl_eval.eval_checker.ast_eval.type_convertor.js_type_converter")
            self.mappings = import_module("bfcl_eval.constants.type_mappings")
            self.enums = import_module("bfcl_eval.constants.enums")

    def messages(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """What a model without native calls is asked."""
        row = json.loads(json.dumps(row))
        (row,) = self.utils.add_language_specific_hint_to_function_doc([row])
        messages: list[dict[str, str]] = self.utils.system_prompt_pre_processing_chat_model(
            row["question"][0], row["function"], row["id"]
        )
        return messages

    def tools(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The functions as OpenAI's protocol has them."""
        row = json.loads(json.dumps(row))
        (row,) = self.utils.add_language_specific_hint_to_function_doc([row])
        style = self.enums.ModelStyle.OPENAI_COMPLETIONS
        tools: list[dict[str, Any]] = self.utils.convert_to_tool(
            row["function"], self.mappings.GORILLA_TO_OPENAPI, style
        )
        return tools

    def decoded(self, text: str, language: str) -> Any:
        """The calls of an answer; None where it cannot be decoded, or where they are no calls."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                calls = self.utils.default_decode_ast_prompting(text, self.enums.ReturnFormat(language))
        except Exception:
            return None
        return calls if self.utils.is_function_calling_format_output(calls) else None

    def verdict(self, functions: Any, calls: Any, ground_truth: Any, language: str, category: str) -> bool | str:
        """Whether the calls are right; the name of the error where the checker breaks down on them."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                result = self.checker.ast_checker(
                    functions, calls, ground_truth, self.enums.Language(language), category, "any"
                )
        except Exception as error:
            return type(error).__name__
        return bool(result["valid"])


@cache
def shared_oracle() -> Oracle:
    """One for the whole session."""
    if util.find_spec("bfcl_eval") is None:
        pytest.skip(f"needs bfcl-eval: pip install --no-deps bfcl-eval=={RELEASE}")
    assert metadata.version("bfcl-eval") == RELEASE
    return Oracle()


@contextlib.contextmanager
def _shims() -> Iterator[None]:
    """Stand-ins for the table of models and for tree-sitter 0.21, while bfcl-eval is imported."""
    import tree_sitter

    models: Any = ModuleType("bfcl_eval.constants.model_config")
    models.MODEL_CONFIG_MAPPING = {"any": SimpleNamespace(underscore_to_dot=False)}
    trees: Any = ModuleType("tree_sitter")
    trees.Language = lambda pointer, name: tree_sitter.Language(pointer)
    trees.Parser = lambda: _OldParser(tree_sitter.Parser)
    standing = {name: sys.modules.get(name) for name in ("tree_sitter", models.__name__)}
    sys.modules[models.__name__] = models
    sys.modules["tree_sitter"] = trees
    # Its import makes folders for results, beside the package if nothing else is said.
    os.environ["BFCL_PROJECT_ROOT"] = tempfile.mkdtemp()
    try:
        yield
    finally:
        del os.environ["BFCL_PROJECT_ROOT"]
        for name, module in standing.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class _OldParser:
    """The parser of tree-sitter 0.21, as far as bfcl-eval uses it."""

    def __init__(self, parser: Callable[[Any], Any]) -> None:
        self._make = parser

    def set_language(self, language: Any) -> None:
        self._parser = self._make(language)

    def parse(self, source: bytes) -> Any:
        return SimpleNamespace(root_node=_OldRoot(self._parser.parse(source).root_node))


class _OldRoot:
    """A root that still knows `sexp`."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def sexp(self) -> str:
        return str(self._node)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)
