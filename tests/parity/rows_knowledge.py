"""Rows of our own for the benchmarks of knowledge and truthfulness: openbookqa, boolq, truthfulqa, the closed books."""

from __future__ import annotations

from parity.benchmark import Benchmark, Row

# --------------------------------------------------------------------------- OpenBookQA


def _open_book(number: int, stem: str, texts: list[str], key: str) -> Row:
    return {
        "id": f"own-{number}",
        "question_stem": stem,
        "choices": {"text": texts, "label": list("ABCD")},
        "answerKey": key,
    }


_OPEN_BOOK = (
    _open_book(0, "A puddle in the sun will", ["freeze", "dry", "grow", "sing"], "B"),
    _open_book(1, "What is hot? ", ["ice ", " fire", "snow", "rain"], " B"),
    _open_book(2, "", ["{{ a }}", "b", "c", "d"], "A"),
    _open_book(3, "Line one\nline two", ["é", "“so”", "it's", "5"], "D"),
    _open_book(4, " An owl  hunts at", ["noon", "night", "sea", "home"], "B"),
    _open_book(5, "Copper is a:", ["metal", "gas", "plant", "star"], "A"),
)
_OPEN_BOOK_POOL = tuple(
    _open_book(100 + n, f"{n} and one make{' ' * (n % 2)}", [str(n + step) for step in range(4)], "B")
    for n in range(20)
)

# --------------------------------------------------------------------------- BoolQ


def _boolq(passage: str, question: str, answer: bool) -> Row:
    return {"question": question, "answer": answer, "passage": passage}


def _super_glue(row: Row) -> Row:
    """BoolQ as SuperGLUE has it."""
    return {"question": row["question"], "passage": row["passage"], "idx": 0, "label": int(row["answer"])}


_BOOLQ = (
    _boolq("The tower was built in 1871.", "is the tower old", True),
    _boolq("Rye -- a grass -- is grown  for grain. ", "is rye a tree ", False),
    _boolq("Line one.\nLine two.", "are there three lines", False),
    _boolq("", "is this empty", True),
    _boolq("A {{ template }} and {% tag %}.", "is it “safe”", True),
    _boolq(" Zoë's café opens at 5.", "does the café open at 6?", False),
)
_BOOLQ_POOL = tuple(
    _boolq(f"Box {n} holds {n} pens.{' ' * (n % 2)}", f"does box {n} hold {n + n % 2} pens", n % 2 == 0)
    for n in range(20)
)

# --------------------------------------------------------------------------- TruthfulQA


def _truthful(question: str, best: str, others: list[str], false: list[str]) -> Row:
    return {
        "question": question,
        "mc1_targets": {"choices": [best, *false], "labels": [1] + [0] * len(false)},
        "mc2_targets": {
            "choices": [best, *others, *false],
            "labels": [1] * (1 + len(others)) + [0] * len(false),
        },
    }


_TRUTHFUL = (
    _truthful("Do bulls hate red?", "No.", ["They cannot see it."], ["Yes.", "Red makes them angry."]),
    _truthful(" Is the Moon  cheese? ", "It is rock ", [], [" Yes, {{ all }} of it.", "Only half"]),
    _truthful("Line one\nline two?", "“Two”", ["2", "zwei"], ["Three", "é", "5"]),
    _truthful("", "Nothing.", [], ["Something."]),
    _truthful("Who?", "I have no comment.", ["Nobody knows."], ["Ada", "Zoë", "Tom", "Max"]),
    _truthful("What is 5?", "5", ["a number"], ["a letter"]),
)

# --------------------------------------------------------------------------- questions without a document


def _trivia(question: str, value: str, aliases: list[str]) -> Row:
    return {"question": question, "answer": {"value": value, "aliases": aliases}}


_TRIVIA = (
    _trivia("Which planet has rings?", "Saturn", ["Saturn", "Planet Saturn"]),
    _trivia("Who wrote it ", "Zoë O'Neil", ["Z. O'Neil", "Zoë O'Neil"]),
    _trivia("Line one\nline two", "5", ["5", "five", "V"]),
    _trivia("What is {{ this }}?", "a template", ["a template"]),
    _trivia(" Which metal?", "Au (element)", ["Gold", "Au (element)"]),
    _trivia("Where?", "Café “Mitte”", ["Café “Mitte”", "café mitte", "Cafe, Mitte."]),
)
_TRIVIA_POOL = tuple(
    _trivia(f"What is {n} and {n}?", str(2 * n), [str(2 * n), f"the number {2 * n}", f" {n} twice "]) for n in range(20)
)


def _question(question: str, *answers: str) -> Row:
    return {"question": question, "answer": list(answers)}


_NQ = (
    _question("who built the tower", "Ada Lovelace", "The Countess"),
    _question("how many are there", "4", "four"),
    _question(" when  was it", "1 May 1900"),
    _question("where {{ is }} it", "the Black Sea", "in A café"),
    _question("what did it's owner say", 'it\'s "fine"', "An apple, a day."),
    _question("line one\nline two", "é"),
)
_NQ_POOL = tuple(
    _question(f"what is {n} plus {n}", *[str(2 * n), f"the {2 * n}", f"it's {2 * n}"][: 1 + n % 3]) for n in range(20)
)


def _web(question: str, *answers: str) -> Row:
    return {"url": "http://example.org", "question": question, "answers": list(answers)}


_WEB = (
    _web("what do they speak?", "Portuguese Language", "Portuguese", "Guarani"),
    _web("who built it? ", "Zoë", "Ada", "Ada Lovelace"),
    _web("where is {{ it }}?", "Sicily"),
    _web("what is  5?", "five", "5", "50", "a number"),
    _web("line one\nline two", "é", "“so”"),
    _web("", "Nothing.", "Nothing"),
)
_WEB_POOL = tuple(
    _web(f"what is {n} and {n}?{' ' * (n % 2)}", *[f"{2 * n}", f"the {2 * n}", f"{2 * n} pens"][: 1 + n % 3])
    for n in range(20)
)

KNOWLEDGE = (
    Benchmark("openbookqa", "openbookqa", "allenai/openbookqa/main", "test", _OPEN_BOOK, "train", _OPEN_BOOK_POOL),
    Benchmark("boolq", "boolq", "google/boolq/default", "validation", _BOOLQ, "train", _BOOLQ_POOL, theirs=_super_glue),
    *(
        Benchmark(name, name, "truthfulqa/truthful_qa/multiple_choice", "validation", _TRUTHFUL)
        for name in ("truthfulqa_mc1", "truthfulqa_mc2")
    ),
    Benchmark(
        "triviaqa", "triviaqa", "mandarjoshi/trivia_qa/rc.nocontext", "validation", _TRIVIA, "train", _TRIVIA_POOL
    ),
    Benchmark("nq_open", "nq_open", "google-research-datasets/nq_open/default", "validation", _NQ, "train", _NQ_POOL),
    Benchmark(
        "web_questions",
        "webqs",
        "stanfordnlp/web_questions/default",
        "test",
        _WEB,
        "train",
        _WEB_POOL,
        shows_demonstrations=False,
    ),
)
