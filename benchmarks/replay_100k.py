"""Seconds and memory of scoring and recording 100,000 replayed samples with the command line.

    python benchmarks/replay_100k.py [--samples 100000] [--keep FOLDER]

The rows (in the style of gsm8k, with five demonstrations before each question) and the completions are made
here, in a temporary folder. The last line is JSON: the wall time of the whole command, start-up and data
included, and the peak of its resident memory (ru_maxrss).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path

DEFINITION = """\
name: marbles
version: 1
ability: reasoning/mathematical
description: Word problems made for a measurement.
source: {paper: none, license: Apache-2.0, columns_from: benchmarks/replay_100k.py}
data: {file: marbles.jsonl}
demonstrations: {file: pool.jsonl, shots: 5}
prompt:
  template: question_answer
  question: "{{ question }}"
  answer: "{{ answer | after('####') }}"
  reasoned_answer: "{{ answer }}"
target: "{{ answer | after('####') }}"
elicitation: {method: chain_of_thought}
decode: {max_tokens: 512, stop: ["Question:"]}
answer: {parser: number}
metrics: [exact_match]
examples:
  - {question: One and one?, answer: "It is 2.\\n#### 2"}
  - {question: One and two?, answer: "It is 3.\\n#### 3"}
  - {question: Two and two?, answer: "It is 4.\\n#### 4"}
"""


def row(number: int) -> dict[str, str]:
    red, blue, boxes = number % 97 + 2, number % 89 + 3, number % 13 + 2
    total = (red + blue) * boxes
    return {
        "question": f"A shop packs {red} red and {blue} blue marbles into every box, and sends {boxes} boxes of kind "
        f"{number} to a school on the other side of the river. How many marbles does the school get in all?",
        "answer": f"Each box holds {red} + {blue} = <<{red}+{blue}={red + blue}>>{red + blue} marbles.\n"
        f"The school gets {red + blue} * {boxes} = <<{red + blue}*{boxes}={total}>>{total} marbles.\n#### {total}",
    }


def completion(number: int) -> str:
    """Right two times in three."""
    answer = row(number)["answer"]
    return answer if number % 3 else answer.partition("####")[0] + "#### 0"


def write(path: Path, lines: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def measured(folder: Path, samples: int) -> dict[str, object]:
    """Run the command once and read what it used."""
    (folder / "marbles.yaml").write_text(DEFINITION, encoding="utf-8")
    write(folder / "marbles.jsonl", (row(number) for number in range(samples)))
    write(folder / "pool.jsonl", (row(number) for number in range(samples, samples + 20)))
    write(folder / "said.jsonl", ({"id": str(n), "completions": [completion(n)]} for n in range(samples)))
    clone = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "evalharness", "run", "--task", "marbles.yaml", "--model", "replay:said.jsonl",
               "--output", "run", "--no-resume", "--quiet", "--json"]  # fmt: skip
    places = os.pathsep.join(filter(None, (str(clone), os.environ.get("PYTHONPATH"))))
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": places}, stdout=subprocess.PIPE, check=True
    )
    seconds = time.perf_counter() - began
    (results,) = json.loads(ended.stdout)
    assert results["samples"] == samples
    wrong = len(range(0, samples, 3))
    assert results["scores"]["exact_match"]["value"] == (samples - wrong) / samples
    return {
        "benchmark": "replay_100k",
        "samples": samples,
        "seconds": round(seconds, 1),
        "goal_seconds": 60 * samples / 100_000,
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "goal_megabytes": 1024,
        "journal_megabytes": round((folder / "run/samples.jsonl").stat().st_size / 1e6),
        "load_average": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="an empty folder for the files, which then stay")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    with nullcontext(arguments.keep) if arguments.keep else tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), arguments.samples)))


if __name__ == "__main__":
    main()
