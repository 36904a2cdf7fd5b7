"""Jinja2 templates over the columns of a row, in the sandbox: a task file from a stranger cannot reach Python.

Two kinds of field: a *text* renders to a string; an *expression* is one ``{{ ... }}`` whose value keeps its
Python type (a list of choices, the position of the right one). The kind belongs to the field of the
definition, never to what the first document happens to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from evalharness.errors import DataError, UsageError, nearest
from evalharness.prompting.text_filters import FILTERS, letter
from evalharness.registry import shipped

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment


LARGEST = 10_000_000
"""Characters, items or bits that an operator in a template may make."""


def _size(operator: str, left: Any, right: Any) -> int:
    """Length of a repeated text or list, or bits of a power of whole numbers; 0 for what stays small."""
    if operator == "**":
        whole = isinstance(left, int) and isinstance(right, int) and right > 0
        return left.bit_length() * right if whole else 0
    for repeated, times in ((left, right), (right, left)):
        if isinstance(times, int) and hasattr(repeated, "__len__"):
            return len(repeated) * times
    return 0


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The one sandboxed environment; an unknown column is an error, never an empty string."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Refuses products and powers that would fill the memory."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if _size(operator, left, right) > LARGEST:
                raise OverflowError(f"a result of '{operator}' has more than {LARGEST:,} characters or items")
            return super().call_binop(context, operator, left, right)

    env = Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    env.filters.update(FILTERS)
    env.globals.update(letter=letter)
    return env


CHANGE = "evalharness_change"
"""The value by which a template with `changing` finds what it passes every value through."""


@cache
def changing_environment() -> ImmutableSandboxedEnvironment:
    """`environment()`, but for one thing: what a row brings into the text goes through the function `CHANGE` first.

    The template's own words do not, nor what a template only tests or looks up.
    """
    from jinja2 import pass_context

    @pass_context
    def changed(context: Any, value: Any) -> Any:
        return context[CHANGE](value)

    return environment().overlay(finalize=changed)


class Template:
    """A text field, compiled once."""

    def __init__(self, source: str, where: str, *, changing: bool = False) -> None:
        """With `changing`, it is rendered with a function under the name `CHANGE` (`changing_environment`)."""
        self.where = where
        self.constant = None if "{" in source else source
        made_in = changing_environment if changing else environment
        self._render: Callable[..., str] = _compiled(lambda: _template(source, made_in()).render, where, source)
        self.columns = _columns(source)

    def __call__(self, values: Mapping[str, Any]) -> str:
        """Render with the columns of a row.

        Raises:
            DataError: a column is missing or the template fails on this row.
        """
        if self.constant is not None:
            return self.constant
        return str(_evaluated(self._render, values, self.where))


class Expression:
    """A typed field: one ``{{ expression }}``."""

    def __init__(self, source: str, where: str) -> None:
        body = source.strip()
        inner = body[2:-2].strip()
        if not (body.startswith("{{") and body.endswith("}}")) or "{{" in inner:
            raise DataError(
                f"{where}: this field takes one {{{{ expression }}}} whose value is used as it is, not {source!r}."
            )
        self.where = where
        compiled = _compiled(lambda: environment().compile_expression(inner, undefined_to_none=False), where, source)
        self._evaluate: Callable[..., Any] = compiled
        self.columns = _columns(source)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate with the columns of a row; see `Template.__call__` for what it raises."""
        return _evaluated(self._defined, values, self.where)

    def _defined(self, values: Mapping[str, Any]) -> Any:
        from jinja2 import Undefined

        value = self._evaluate(values)
        if isinstance(value, Undefined):
            str(value)  # raises what is wrong with it: an unknown column, or a name that the sandbox hides
        return value


def turn_template(name: str) -> Template:
    """The shipped template ``prompts/<name>.jinja``: how one turn asks.

    Raises:
        UsageError: no such template; the nearest is named.
    """
    known = {path.stem: path for path in shipped("prompts").glob("*.jinja")}
    path = known.get(name)
    if path is None:
        raise UsageError(f"unknown prompt template '{name:.60}'; {nearest(name, known)}")
    return Template(path.read_text(encoding="utf-8").removesuffix("\n"), where=f"prompts/{path.name}")


def _template(source: str, made_in: ImmutableSandboxedEnvironment) -> Any:
    template = made_in.from_string(source)
    # jinja2 chains the template's globals before the environment's and copies the chain at every rendering; one
    # plain dict of them more than halves the time of a rendering (22 to 10 us). No template here has its own.
    template.globals = dict(template.globals)
    return template


def _columns(source: str) -> frozenset[str]:
    from jinja2 import meta

    env = environment()
    return frozenset(meta.find_undeclared_variables(env.parse(source)) - env.globals.keys())


def _compiled(make: Callable[[], Any], where: str, source: str) -> Any:
    from jinja2 import TemplateSyntaxError

    try:
        return make()
    except TemplateSyntaxError as error:
        raise DataError(f"{where}: the template {source!r} does not parse: {error.message}.") from None


def _evaluated(function: Callable[..., Any], values: Mapping[str, Any], where: str) -> Any:
    from jinja2 import UndefinedError
    from jinja2.exceptions import SecurityError

    try:
        return function(values)
    except UndefinedError as error:
        raise DataError(_missing(error, values, where)) from None
    except SecurityError as error:
        raise DataError(f"{where}: the template reaches for Python internals: {error}.") from None
    except Exception as error:
        raise DataError(f"{where}: the template fails on a row: {type(error).__name__}: {error}.") from None


def _missing(error: Exception, values: Mapping[str, Any], where: str) -> str:
    message = str(error)
    if message.endswith("is undefined") and message.startswith("'"):
        column = message.split("'")[1]
        return f"{where}: the row has no column '{column}'; {nearest(column, values)}"
    return f"{where}: {message}; the row has {', '.join(sorted(values))}."
