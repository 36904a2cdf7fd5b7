"""Every op's benchmark, each in a process of its own, and the table and the plot of docs/kernels.md made of them.

    python benchmarks/kernels/all.py [--device cuda] [--only rms_norm ...] [--output FILE]

Writes `results/cpu.json` or `results/cuda.json` beside this file, with the device and its load named, and then the
page (`page.py`). With `--only` the lines of the other scripts stay as they are in the file; with `--output` another
file is written and the page is left alone. A script that fails or takes too long is named in the file, unless it has
lines there that stay, and the next one runs. On a processor torch.compile is left out unless `--compile` is given:
compiling takes longer than measuring.

Nothing else should run meanwhile. It takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
COMMON = ("device", "torch", "threads")
"""What is alike in all lines and said once."""


def scripts() -> list[str]:
    """The names of the files here that print lines by `providers.tell`."""
    uses = re.compile("^from providers import", re.MULTILINE)
    return sorted(path.stem for path in FOLDER.glob("*.py") if uses.search(path.read_text(encoding="utf-8")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--only", nargs="+", choices=scripts(), default=scripts(), metavar="SCRIPT")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=90, help="seconds of a script")
    parser.add_argument(
        "--seconds", type=float, default=1200, help="seconds of all; what is not begun then is left out"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    parser.add_argument("--small", action="store_true", help="tiny shapes: only whether everything runs")
    asked = parser.parse_args()

    import torch
    from interleaved import ceilings, device_name

    kind = asked.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(kind)
    torch.set_num_threads(asked.threads)
    output = asked.output or RESULTS / f"{kind}.json"
    found: dict[str, Any] = {
        "device": device_name(device), "date": date.today().isoformat(), "torch": torch.__version__,
        "threads": asked.threads, "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    if not asked.small:
        dtypes = (torch.bfloat16,) if kind == "cuda" else (torch.float32, torch.bfloat16)
        found["ceilings"] = {str(dtype).removeprefix("torch."): ceilings(device, dtype) for dtype in dtypes}
    if kind == "cuda":
        torch.cuda.empty_cache()
    before = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {"lines": [], "failed": {}}
    lines: dict[str, list[dict[str, Any]]] = {}
    if set(asked.only) < set(scripts()):
        for line in before["lines"]:
            lines.setdefault(line["script"], []).append(line)
    options = ["--device", kind, "--threads", str(asked.threads)]
    options += ["--rounds", str(asked.rounds)] if asked.rounds else []
    options += [] if (kind == "cuda" if asked.compile is None else asked.compile) else ["--no-compile"]
    options += ["--small"] if asked.small else []
    began = time.monotonic()
    failed = {script: why for script, why in before["failed"].items() if script not in asked.only}
    for script in asked.only:
        left = asked.seconds - (time.monotonic() - began)
        told, failure = run(script, options, min(asked.limit, left)) if left > 5 else ([], "no time was left")
        print(f"{script}: {len(told)} lines{'' if failure is None else f', {failure}'}", flush=True)
        if failure is None:
            failed.pop(script, None)
        elif not lines.get(script):
            failed[script] = failure
        if failure is None or not lines.get(script):
            lines[script] = told
        found |= {"seconds": round(time.monotonic() - began), "failed": failed}
        found["lines"] = [line for each in sorted(lines) for line in lines[each]]
        write(output, found)
    if asked.output is None and not asked.small:
        import page

        page.write()
    print(f"{output}: {len(found['lines'])} lines in {found['seconds']} s, {len(failed)} scripts failed", flush=True)
    raise SystemExit(bool(failed))


def run(script: str, options: list[str], limit: float) -> tuple[list[dict[str, Any]], str | None]:
    """The lines that a script printed, and in a few words why it did not end well."""
    command = [sys.executable, str(FOLDER / f"{script}.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told, complaints = process.communicate(timeout=limit)
            last = complaints.strip().splitlines()[-1:] or [""]
            failure = f"exit code {process.returncode}: {last[0]}" if process.returncode else None
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
            failure = f"stopped after {limit:.0f} s"
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{") and line.endswith("}")]
    return [{"script": script, **{key: line[key] for key in line if key not in COMMON}} for line in lines], failure


def write(output: Path, found: dict[str, Any]) -> None:
    """JSON with each measurement on a line of its own, so that changes are read line by line."""
    head = json.dumps({key: found[key] for key in found if key != "lines"}, indent=1)
    lines = ",\n".join(f"  {json.dumps(line)}" for line in found["lines"])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f'{head[:-2]},\n "lines": [\n{lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
