"""A model of a folder of texts: hold some out, learn a tokenizer, make a corpus, train, ask the harness about the rest.

Stopped and started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import yaml

from evalharness.stack.corpus.documents import files_of
from evalharness.stack.corpus.options import SourceOptions
from evalharness.stack.corpus.reading import open_corpus
from evalharness.stack.tokenization.text import from_folder

HERE = Path(__file__).parent
HELD_OUT = 10
"""One file in so many is held out, and at least one."""
PASSAGE, PASSAGES = 2_000, 60
"""Characters of a passage at least, and how many passages the harness asks about, from all over what is held out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="A folder: .txt, .md, .jsonl, .parquet; also .gz.")
    parser.add_argument("--output", type=Path, default=Path("runs/books"), help="Where everything goes.")
    parser.add_argument("--vocab-size", type=int, default=4096, help="Tokens of the tokenizer.")
    parser.add_argument("--set", action="append", default=[], help="A change to train.yaml: steps=100. Repeatable.")
    arguments = parser.parse_args()
    began = time.perf_counter()
    folder = arguments.output
    learned, held_out = split(arguments.texts)
    write_configurations(folder, {"learned": learned, "held_out": held_out})
    if not (folder / "tokenizer" / "training_card.json").exists():
        shutil.rmtree(folder / "tokenizer", ignore_errors=True)
        command("tokenizer", "train", *learned, "--output", folder / "tokenizer", "--vocab-size", arguments.vocab_size)
    command("corpus", "build", folder / "corpus.yaml")
    compressed = write_passages(folder)
    command("corpus", "build", folder / "held_out_corpus.yaml")
    changes = [part for change in arguments.set for part in ("--set", change)]
    command("pretrain", folder / "train.yaml", *changes)
    print(told(folder / "training"))
    print(f"xz compresses the same passages to {compressed:.3f} bits a byte")
    print(f"\n{time.perf_counter() - began:.0f} s in all; {folder}")


def split(texts: Path) -> tuple[list[Path], list[Path]]:
    """Files to learn and files held out, drawn by their names.

    Raises:
        SystemExit: there are not two of them.
    """
    files = [path.resolve() for path in files_of(SourceOptions(name="texts", paths=(str(texts.resolve()),)), texts)]
    if len(files) < 2:
        raise SystemExit(f"{texts}: holds one text; two or more are needed, since one is held out.")
    drawn = sorted(files, key=lambda path: sha256(path.name.encode()).digest())
    held_out = set(drawn[: max(1, len(files) // HELD_OUT)])
    print(f"held out: {', '.join(sorted(path.name for path in held_out))}; learned: {len(files) - len(held_out)} files")
    return [path for path in files if path not in held_out], sorted(held_out)


def write_configurations(folder: Path, files: dict[str, list[Path]]) -> None:
    """The YAMLs of this folder; in the corpus's, the files in the place of each source's paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in HERE.glob("*.yaml"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == "corpus.yaml":
            for source in values["sources"]:
                source["paths"] = [str(file) for file in files[source["name"]]]
        (folder / path.name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def write_passages(folder: Path) -> float:
    """Write passages of what is held out, for the task; how many bits xz makes of a byte of them."""
    shards, tokenizer = open_corpus(folder / "corpus").sources["held_out"], from_folder(folder / "tokenizer")
    texts = (tokenizer.decode(shards.document(number)[:-1].tolist()) for number in range(shards.documents))
    found = [passage for text in texts for passage in passages(text)]
    chosen = found[:: -(-len(found) // PASSAGES)]
    lines = (json.dumps({"text": passage}) + "\n" for passage in chosen)
    (folder / "held_out.jsonl").write_text("".join(lines), encoding="utf-8")
    text = "\n\n".join(chosen).encode()
    return 8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) / len(text)


def passages(text: str) -> list[str]:
    """The text in pieces that end where a paragraph does."""
    found, begin = [], 0
    while (end := text.find("\n\n", begin + PASSAGE)) >= 0:
        found.append(text[begin:end])
        begin = end + 2
    return [*found, text[begin:]]


def told(training: Path) -> str:
    """What the harness says of the last checkpoint."""
    row = json.loads((training / "evaluations.jsonl").read_text().splitlines()[-1])
    score = row["tasks"]["held_out"]["metrics"]["bits_per_byte"]
    # One passage has no interval.
    ends = "" if score["low"] is None else f", 95 %: {score['low']:.3f} to {score['high']:.3f}"
    return f"held out, {score['n']} passages: {score['value']:.3f} bits a byte{ends}, after {row['step']} steps"


def command(*arguments: object) -> None:
    """Run the harness's command.

    Raises:
        SystemExit: it failed, and has said why.
    """
    ended = subprocess.run([sys.executable, "-m", "evalharness", *map(str, arguments)], check=False)
    if ended.returncode:
        raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
