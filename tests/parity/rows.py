"""Rows that we wrote for the comparisons, in the columns of the benchmarks and in none of them.

Each benchmark has 6 evaluated rows and a pool of 20, with what trips a prompt: spaces at either end, double
spaces, line breaks, text that looks like a template, WikiHow marks, three and five choices, numbers as labels,
letters beyond ASCII, an empty half of a context.
"""

from __future__ import annotations

from parity.benchmark import Benchmark, Row
from parity.rows_alignment import ALIGNMENT
from parity.rows_commonsense import COMMONSENSE
from parity.rows_knowledge import KNOWLEDGE

# --------------------------------------------------------------------------- gsm8k

_GSM8K = (
    ("A baker sells 12 rolls an hour.  How many in 3 hours?", "She sells 12*3=<<12*3=36>>36 rolls.\n#### 36"),
    ("Ada has $1,200.50 and spends half. How much is left? ", "1200.5/2 = $<<1200.5/2=600.25>>600.25\n#### 600.25"),
    ("A list:\n- 2 pens\n- 3 cups\n\nHow many things?", "2+3 = 5 things.\n#### 5"),
    ("Zoë läuft 5 km — how many metres is that?", "5*1000 = 5000 m.\n#### 5,000"),
    (" What is {{ 2 }} + {% 3 %} # 4 #}?", "The marks mean nothing: 2+3 = 5.\n#### 5 "),
    ("It is -3° and falls by 4\tdegrees. What is it now?", "-3-4 = -7.\n\n#### -7"),
)
_GSM8K_POOL = tuple(
    (
        f"Box {n} holds {n + 2} red and {2 * n} blue marbles{' ' * (n % 3)}. How many does it hold?{' ' * (n % 2)}",
        f"It holds {n + 2}+{2 * n} = <<{n + 2}+{2 * n}={3 * n + 2}>>{3 * n + 2} marbles.\n#### {3 * n + 2}",
    )
    for n in range(20)
)


def _gsm8k(pairs: tuple[tuple[str, str], ...]) -> tuple[Row, ...]:
    return tuple({"question": question, "answer": answer} for question, answer in pairs)


# --------------------------------------------------------------------------- ARC


def _arc(number: int, question: str, texts: list[str], labels: str, key: str) -> Row:
    return {
        "id": f"own-{number}",
        "question": question,
        "choices": {"text": texts, "label": list(labels)},
        "answerKey": key,
    }


_ARC = (
    _arc(0, "Which of these is a metal?", ["iron", "wood", "wool", "glass"], "ABCD", "A"),
    _arc(1, "What does a thermometer measure? ", ["heat ", " mass", "time", "length"], "1234", "1"),
    _arc(2, "Water at 0 °C…\nwhat happens?", ["It freezes.", "It  boils.", "It's gone."], "ABC", "A"),
    _arc(3, "Which is largest?", ["ant", "cat", "“cow”", "whale", "mouse"], "ABCDE", "D"),
    _arc(4, "  Pick the gas:", ["{{ air }}", "\"rock\" and 'sand'", "[ice]", "5"], "1234", "4"),
    _arc(5, "7", ["1", "2", "3", "4"], "ABCD", "C"),
)
_ARC_POOL = tuple(
    _arc(
        100 + n,
        f"Which number comes after {n}?{' ' * (n % 2)}",
        [str(n - 1), str(n + 1), f"{n}  ", f"é{n}"][: 3 + n % 2],
        "ABCD"[: 3 + n % 2] if n % 3 else "1234"[: 3 + n % 2],
        "B" if n % 3 else "2",
    )
    for n in range(20)
)

# --------------------------------------------------------------------------- HellaSwag


def _hellaswag(number: int, activity: str, ctx_a: str, ctx_b: str, endings: list[str], label: str) -> Row:
    return {
        "ind": number,
        "activity_label": activity,
        "ctx_a": ctx_a,
        "ctx_b": ctx_b,
        "ctx": f"{ctx_a} {ctx_b}",
        "endings": endings,
        "source_id": f"own~{number}",
        "split": "val",
        "split_type": "indomain",
        "label": label,
    }


_HELLASWAG = (
    _hellaswag(0, "Making tea", "A man boils water.", "he", ["pours it.", "eats it.", "sells it.", "hides it."], "0"),
    _hellaswag(
        1,
        "Home and Garden",
        "[header] How to plant a tree [title] Dig a hole. [step] It must be wide.",
        "",
        ["[substeps] Use a spade.", "Use [a] fork [title] Now.", "  Dig  with   a spoon. ", "No. [title]"],
        "2",
    ),
    _hellaswag(2, "Café", "ÉLAN: she  walks in", "ÉLODIE and McDonald", ["sits.", "ñ", "“so”", "…"], "1"),
    _hellaswag(3, "Sport ", " Two teams\nplay.", "the Ball", ["rolls", "a] b [c", "[]", "x [y] z [w] "], "3"),
    _hellaswag(4, "Cooking", "", "soup is hot", ["{{ eat }}", "{% x %}", "it's", "wait   4   minutes"], "1"),
    _hellaswag(5, "", "A dog", "3 cats", ["run", "jump", "sleep", "meow"], "0"),
)
_HELLASWAG_POOL = tuple(
    _hellaswag(
        100 + n,
        f"Counting {n}",
        f"A child counts to {n} [title] aloud." if n % 2 else f"A child  counts to {n}.",
        "then IT" if n % 3 else "",
        [f"goes on to {n + 1}.", "stops [step] at once.", "falls  asleep.", "counts back."],
        str(n % 4),
    )
    for n in range(20)
)

# --------------------------------------------------------------------------- MMLU


def _mmlu(subject: str, question: str, choices: list[str], answer: int) -> Row:
    return {"question": question, "subject": subject, "choices": choices, "answer": answer}


def _mmlu_rows(subject: str) -> tuple[Row, ...]:
    return (
        _mmlu(subject, "Which comes first?", ["one", "two", "three", "four"], 0),
        _mmlu(subject, "  Which is blue? \n", ["sky ", " grass", "snow  man", "coal"], 0),
        _mmlu(subject, "Statement 1 | x > 2\nStatement 2 | x < 2", ["True, True", "False", "", "Ω"], 3),
        _mmlu(subject, "_______ is a name.", ["{{ A }}", "{# B #}", "'C'", '"D"'], 2),
        _mmlu(subject, "§ 5 — what?", ["A", "B", "C", "D"], 1),
        _mmlu(subject, "12", ["1", "2", "3", "4"], 3),
    )


def _mmlu_pool(subject: str) -> tuple[Row, ...]:
    return tuple(
        _mmlu(subject, f"How much is {n} + {n}?{' ' * (n % 3)}", [str(n), f"{2 * n} ", f" {3 * n}", "none"], n % 4)
        for n in range(20)
    )


# --------------------------------------------------------------------------- texts

_LAMBADA = (
    "The violin lay on the table. He tuned it and began to play the violin",
    "“Come in,” she said, and he opened the  door",
    "It ended\nwhere it began,\nat the sea",
    "he did not know what to  say ",
    "word",
    "Zoë asked for tea, and the café had no tea’s",
)
_WIKITEXT = (
    ' = Harbour clock = \n \n It was built in 1 @,@ 902 @.@ 5 . It has " four faces " and one bell . \n',
    " = = Heron = = \n The heron ( Ardea ) stands 's still , waits ; and strikes : once ! Why ? \n \n ",
    " = = = Mill = = = \n Its wheel turned at 3 ° C near 5 N of [ here ] and { there } . \n It s ' said ' so \n",
    "= = = = Deep = = = = \n the boys ' club , a well @-@ known one , met at 7 : 30 . \n\n",
    "",
    "naïve — \t tabs  and   spaces /' 5/ s ' end",
)

ASTRONOMY = "astronomy"
LAW = "professional_law"
"""Of another group, and with an underscore that the prompt must not show."""

BENCHMARKS = {
    benchmark.task: benchmark
    for benchmark in (
        *ALIGNMENT,
        *COMMONSENSE,
        *KNOWLEDGE,
        Benchmark(
            task="gsm8k",
            lm_eval="gsm8k",
            place="openai/gsm8k/main",
            split="test",
            rows=_gsm8k(_GSM8K),
            pool_split="train",
            pool=_gsm8k(_GSM8K_POOL),
            shots=5,
        ),
        *(
            Benchmark(
                task=task,
                lm_eval=task,
                place=f"allenai/ai2_arc/{config}",
                split="test",
                rows=_ARC,
                pool_split="train",
                pool=_ARC_POOL,
            )
            for task, config in (("arc_easy", "ARC-Easy"), ("arc_challenge", "ARC-Challenge"))
        ),
        Benchmark(
            task="hellaswag",
            lm_eval="hellaswag",
            place="Rowan/hellaswag/default",
            split="validation",
            rows=_HELLASWAG,
            pool_split="train",
            pool=_HELLASWAG_POOL,
        ),
        *(
            Benchmark(
                task=f"mmlu/{subject}",
                lm_eval=f"mmlu_{subject}",
                place=f"cais/mmlu/{subject}",
                split="test",
                rows=_mmlu_rows(subject),
                pool_split="dev",
                pool=_mmlu_pool(subject),
            )
            for subject in (ASTRONOMY, LAW)
        ),
        Benchmark(
            task="wikitext",
            lm_eval="wikitext",
            place="EleutherAI/wikitext_document_level/wikitext-2-raw-v1",
            split="test",
            rows=tuple({"page": page} for page in _WIKITEXT),
        ),
        Benchmark(
            task="lambada_openai",
            lm_eval="lambada_openai",
            place="EleutherAI/lambada_openai/default",
            split="test",
            rows=tuple({"text": text} for text in _LAMBADA),
        ),
    )
}
