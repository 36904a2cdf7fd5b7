"""Rows of our own for the benchmarks of common sense: piqa, winogrande, social_iqa, commonsense_qa."""

from __future__ import annotations

from parity.benchmark import Benchmark, Row

# --------------------------------------------------------------------------- PIQA


def _piqa(goal: str, sol1: str, sol2: str, label: int) -> Row:
    return {"goal": goal, "sol1": sol1, "sol2": sol2, "label": label}


_PIQA = (
    _piqa("To dry a boot,", "stuff it with newspaper.", "stuff it with snow.", 0),
    _piqa("dresser ", "sand  it, then oil it ", " paint it\nblue", 1),
    _piqa("How do you cool café au lait?", "{{ ice }}", "{% fire %}", 0),
    _piqa("", "5", "6", 1),
    _piqa(" Open the tin:", "with a “tin opener”", "with a straw", 0),
    _piqa("Keep the cat out:\nhow?", "Close the door.", "Ask it.", 0),
)
_PIQA_POOL = tuple(
    _piqa(f"Count to {n}.{' ' * (n % 2)}", f"Begin at 1 and end at {n}.", f" Begin at {n}; end.", n % 2)
    for n in range(20)
)

# --------------------------------------------------------------------------- Winogrande


def _winogrande(sentence: str, option1: str, option2: str, answer: str) -> Row:
    return {"sentence": sentence, "option1": option1, "option2": option2, "answer": answer}


_WINOGRANDE = (
    _winogrande("The cup did not fit the box because the _ was too big.", "cup", "box", "1"),
    _winogrande("Zoë thanked Ada, since _  had helped.", "Zoë", "Ada", "2"),
    _winogrande("_ is what Tom told Max.", "{{ this }}", "That", "1"),
    _winogrande("The _", "end", "start ", "2"),
    _winogrande("A snake_case name has an underscore, so _ wins.", "it", "he", "1"),
    _winogrande("Ida sold the  car to Bo because _\nneeded money. ", "Ida", "Bo", "1"),
)
_WINOGRANDE_POOL = tuple(
    _winogrande(
        f"Row {n} lost to row {n + 1}, because _ was weak.{' ' * (n % 2)}", f"row {n}", f"row {n + 1}", "12"[n % 2]
    )
    for n in range(20)
)

# --------------------------------------------------------------------------- Social IQa


def _social(context: str, question: str, answers: tuple[str, str, str], label: str) -> Row:
    a, b, c = answers
    return {"context": context, "question": question, "answerA": a, "answerB": b, "answerC": c, "label": label}


_SOCIAL = (
    _social("Ida fell.", "How would she feel?", ("sore", "proud", "rich"), "1"),
    _social("Bo gave Max a gift. ", " Why? ", ("to be kind", " a party ", "no  reason"), "2"),
    _social("", "What now?", ("{{ run }}", "wait", "…"), "3"),
    _social("Zoë sang\nall night.", "What next?", ("sleep", "sing", "“rest”"), "1"),
    _social("Tom lied.", "", ("he did", "he didn't", "5"), "2"),
    _social("A dog barked at Lea.", "How would you describe the dog?", ("loud", "shy", "blue"), "1"),
)
_SOCIAL_POOL = tuple(
    _social(f"Person {n} met person {n + 1}.", f"Who met {n + 1}?", (f"{n}", f" {n + 1}", f"{n + 2} "), "123"[n % 3])
    for n in range(20)
)

# --------------------------------------------------------------------------- CommonsenseQA


def _commonsense(number: int, question: str, texts: list[str], key: str) -> Row:
    return {
        "id": f"own-{number}",
        "question": question,
        "question_concept": "own",
        "choices": {"label": list("ABCDE"), "text": texts},
        "answerKey": key,
    }


_COMMONSENSE = (
    _commonsense(0, "Where is the boot?", ["here", "there", "nowhere", "bed", "sea"], "A"),
    _commonsense(1, " What is red? ", ["grass ", " blood", "snow", "sky", "coal"], "B"),
    _commonsense(2, "Line one\nline two?", ["{{ a }}", "{% b %}", "c", "d", "e"], "E"),
    _commonsense(3, "Who?", ["Zoë", "“Ada”", "it's me", "A", "B"], "C"),
    _commonsense(4, "5?", ["1", "2", "3", "4", "5"], "D"),
    _commonsense(5, "What  flies?", ["birds", "stones", "houses", "trees", "roads"], "A"),
)
_COMMONSENSE_POOL = tuple(
    _commonsense(100 + n, f"Which is {n}?{' ' * (n % 2)}", [str(n + step) for step in range(5)], "ABCDE"[n % 5])
    for n in range(20)
)

COMMONSENSE = (
    Benchmark("piqa", "piqa", "ybisk/piqa/default", "validation", _PIQA, "train", _PIQA_POOL),
    Benchmark(
        "winogrande",
        "winogrande",
        "allenai/winogrande/winogrande_xl",
        "validation",
        _WINOGRANDE,
        "train",
        _WINOGRANDE_POOL,
    ),
    Benchmark("social_iqa", "social_iqa", "allenai/social_i_qa/default", "validation", _SOCIAL, "train", _SOCIAL_POOL),
    Benchmark(
        "commonsense_qa",
        "commonsense_qa",
        "tau/commonsense_qa/default",
        "validation",
        _COMMONSENSE,
        "train",
        _COMMONSENSE_POOL,
    ),
)
