"""How busy the experts of a training were, as a table in Markdown: `balance.py runs/tiny-symbolic/training-experts`."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

SHARE = re.compile(r"experts/(\d+)/(\d+)")
ROWS = 8
"""Of a block, about; the first and the last line of the log are among them."""


def lines(training: Path) -> list[str]:
    """Of each block and some steps the share of the tokens that each expert has; none where there are no experts."""
    log = [json.loads(line) for line in (training / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = [row for row in log if "loss" in row]
    shown = [*shown[: -1 : max(1, len(shown) // ROWS)], *shown[-1:]]
    shares: dict[int, list[list[float]]] = defaultdict(list)
    for row in shown:
        by_block: dict[int, list[float]] = defaultdict(list)
        for key, value in row.items():
            if found := SHARE.fullmatch(key):
                by_block[int(found[1])].append(value)
        for block, found_shares in by_block.items():
            shares[block].append([row["step"], *found_shares])
    told = []
    for block, rows in shares.items():
        columns = ["block", "step", *(f"expert {number}" for number in range(len(rows[0]) - 1))]
        cells = [[str(block), str(step), *(f"{share:.2f}" for share in found)] for step, *found in rows]
        told += ["", *(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells))]
    return told


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]))))
