"""What compilers make of every Triton kernel, for GPUs that need not be here, and the part of docs/kernels.md on it.

    python benchmarks/kernels/builds.py

Writes `results/builds.json` beside this file and then the page (`page.py`). Takes about a quarter of an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "builds.json"
KEPT = ("op", "kernel", "dtype", "constants", "warps", "stages", "aligned", "target", "registers", "spilled", "shared")
"""Of a line; neither the seconds, which are the machine's, nor the bytes, which are its paths'."""


def main() -> None:
    import page
    import triton

    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": cache}
        command = [sys.executable, "-m", "evalharness.stack.kernels.compilation"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr[-2000:])
    lines: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
    kept = ",\n".join(f"  {json.dumps({key: line[key] for key in KEPT})}" for line in lines)
    RESULT.write_text(f'{{\n "triton": "{triton.__version__}",\n "lines": [\n{kept}\n ]\n}}\n', encoding="utf-8")
    page.write()
    print(f"{RESULT}: {len(lines)} builds, {sum(line['spilled'] > 0 for line in lines)} spill")


if __name__ == "__main__":
    main()
