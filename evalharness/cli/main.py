"""The command `evalharness`: finds the subcommand, turns every error into one sentence and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from evalharness.errors import DiskError, EvalHarnessError

COMMANDS = ("run", "tasks", "new", "runs", "inspect", "rescore", "compare", "check", "watch", "baseline", "report",
            "view", "leaderboard", "export", "import", "serve", "cache", "models", "doctor", "convert",
            "tokenizer", "corpus", "pretrain", "finetune", "scaling")  # fmt: skip
"""In the order of `--help`; each is a module of this package with a typer `app`."""
_MODULES = {"import": "import_"}
"""Where a command's name is a word of Python."""

EX_USAGE = 64
EX_INTERNAL = 70
EX_INTERRUPTED = 130
EX_TERMINATED = 143


class _LazyGroup(TyperGroup):
    """Imports a command's module only when that command is wanted, or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"evalharness.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from evalharness.errors import UsageError, nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise UsageError(f"unknown command '{args[0]}'; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure language models: one command, a number with its interval, a record that holds everything behind it.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback with every error."),
) -> None:
    if version:
        from evalharness import __version__

        typer.echo(f"evalharness {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code (docs/errors.md)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments or bool(os.environ.get("EVALHARNESS_DEBUG"))
    signal.signal(signal.SIGTERM, _terminate)
    _print_anything()
    # `--debug` is understood wherever it stands.
    arguments = _with_cache([argument for argument in arguments if argument != "--debug"])
    code = _guarded(arguments, debug)
    sys.exit(EX_TERMINATED if _terminated and code == EX_INTERRUPTED else code)


def _with_cache(arguments: list[str]) -> list[str]:
    """``--cache`` may stand alone: then the cache is the user's own. Options with an optional value are not typer's."""
    if "--cache" not in arguments:
        return arguments
    place = arguments.index("--cache") + 1
    if place < len(arguments) and not arguments[place].startswith("-"):
        return arguments
    from evalharness.cli.folders import default_cache

    return [*arguments[:place], str(default_cache()), *arguments[place:]]


def _print_anything() -> None:
    """A terminal or a log that knows ASCII only gets a question mark where a character is beyond it, not an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


_terminated: list[int] = []
"""The signal that asked this process to end, once one has."""


def _terminate(number: int, frame: object) -> None:
    """End as Ctrl-C does: what is done is kept, and it is said how to go on."""
    from evalharness.run.interruption import interrupt

    _terminated.append(number)
    interrupt()


def _guarded(arguments: list[str], debug: bool) -> int:
    try:
        result = app(arguments, standalone_mode=False, prog_name="evalharness")
        return result if isinstance(result, int) else 0
    except EvalHarnessError as error:
        return _say(str(error), error.exit_code, debug)
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted.", EX_INTERRUPTED, debug=False)
    except typer.TyperException as error:
        from evalharness.cli.spellings import explained

        return _say(explained(error), EX_USAGE, debug)
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        # The reader of our output has gone (`| head`), which typer calls a failure: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{error.strerror or error}.", DiskError.exit_code, debug)
    except Exception as error:
        return _say(
            f"internal error: {type(error).__name__}: {error}; this is a fault of evalharness, "
            "so run again with --debug and report what it prints.",
            EX_INTERNAL,
            debug,
        )


def _say(sentence: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"evalharness: {sentence}", file=sys.stderr)
    return code
