"""`evalharness corpus`: texts to token shards that a model is trained on, and what a corpus holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalharness.stack.corpus.decontamination import BenchmarkItem
    from evalharness.stack.corpus.reading import Corpus

app = typer.Typer(help="Make a corpus of token shards from texts; show what one holds.", no_args_is_help=True)


@app.command("build", help="Read, filter, deduplicate, decontaminate and tokenise texts as a YAML says; goes on where "
             "it was cut off.")  # fmt: skip
def build(
    pipeline: Annotated[Path, typer.Argument(help="The YAML of the corpus (docs/corpus.md).")],
    workers: Annotated[int | None, typer.Option(help="Processes, in place of the YAML's number.", min=1)] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="A mirror of data sets: where the tasks of `decontamination` are read from.")
    ] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A folder with task files of your own.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    import time

    from evalharness.cli.benchmark_items import benchmark_items
    from evalharness.options import parse_options
    from evalharness.stack.corpus import pipeline as corpus
    from evalharness.stack.corpus.options import PipelineOptions
    from evalharness.stack.corpus.reading import open_corpus
    from evalharness.tasks.files import read_yaml

    options = parse_options(PipelineOptions, read_yaml(pipeline), str(pipeline))
    if workers is not None:
        options = options.model_copy(update={"workers": workers})

    def progress(source: str, documents: int, tokens: int) -> None:
        if not quiet:
            seconds = max(time.perf_counter() - began, 1e-9)
            typer.echo(f"{source}: {documents:,} documents read, {tokens:,} tokens, {seconds:,.1f} s", err=True)

    with _corpus_errors():
        items: list[BenchmarkItem] = []
        if options.decontamination:
            items = list(benchmark_items(options.decontamination.tasks, data_dir, tuple(include or ())))
        began = time.perf_counter()
        built = corpus.build(options, pipeline.parent, items, progress)
        found = open_corpus(built.folder)
    if not quiet:
        if built.resumed:
            typer.echo(f"{built.resumed} shards were there already", err=True)
        for line in _summary(found):
            typer.echo(line)


@app.command("show", help="A corpus's card and the beginnings of some documents.")
def show(
    folder: Annotated[Path, typer.Argument(help="The folder of a corpus.")],
    documents: Annotated[int, typer.Option(help="How many documents of each source to show.", min=0)] = 2,
    check: Annotated[bool, typer.Option("--check", help="Read every byte and compare it with its sha256.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what corpus.json says.")] = False,
) -> None:
    import json

    from evalharness.stack.corpus.card import CARD
    from evalharness.stack.corpus.reading import open_corpus

    with _corpus_errors():
        corpus = open_corpus(folder, check=check)
        if as_json:
            typer.echo(json.dumps(corpus.facts, indent=1))
            return
        typer.echo((folder / CARD).read_text(encoding="utf-8").rstrip())
        for name, beginnings in _beginnings(corpus, documents).items():
            for number, beginning in beginnings:
                typer.echo(f"\n{name}, document {number}: {beginning}")
    if check:
        typer.echo("\nevery byte is what was written")


SHOWN = 64
"""Tokens of a document that are shown."""


def _beginnings(corpus: Corpus, count: int) -> dict[str, list[tuple[int, str]]]:
    """The first documents of each source as text where its tokenizer is at hand, as ids where it is not."""
    from evalharness.stack.corpus.encoding import load_encoder
    from evalharness.stack.errors import StackError

    told: Any = corpus.facts["tokenizer"]
    decode: Callable[[Any], str] = str
    for base in (corpus.folder, *corpus.folder.resolve().parents):
        try:
            encoder = load_encoder(told["name"], base, told["end_token"])
        except StackError:
            continue
        if encoder.fingerprint == told["fingerprint"]:
            decode = encoder.decode
            break
    return {
        name: [
            (number, "".join(c if c.isprintable() else " " for c in str(decode(shards.document(number)[:SHOWN]))))
            for number in range(min(count, shards.documents))
        ]
        for name, shards in corpus.sources.items()
    }


def _summary(corpus: Corpus) -> Iterator[str]:
    yield f"{corpus.folder}: the card is card.md"
    for name, own in corpus.facts["sources"].items():
        removed = {why: count for why, count in own["outcomes"].items() if why not in ("kept", "cut")}
        told = ", ".join(f"{count:,} {why}" for why, count in removed.items()) or "nothing"
        yield f"  {name}: {own['tokens']:,} tokens of {own['documents']:,} documents; removed: {told}"


@contextmanager
def _corpus_errors() -> Iterator[None]:
    """The stack's errors, packages that it lacks, and a disk that refuses, in the harness's classes."""
    from evalharness.backends.stack_errors import stack_errors
    from evalharness.errors import DiskError

    try:
        with stack_errors("stack,corpus"):
            yield
    except OSError as error:
        raise DiskError(
            f"{error.filename or 'the disk'}: {error.strerror or error}; what is whole is kept: make room or mend it, "
            "and run the same command again."
        ) from None
