"""The measured part of docs/kernels.md, and its plots, from the files in `results/`; a cell without a file is owed.

    python benchmarks/kernels/page.py

`all.py` and `end_to_end.py` write the files and then call this. A test compares the page with the files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from evalharness.pages.chart_file import chart_file
from evalharness.pages.line_chart import Level, Line, Point
from evalharness.stack.kernels.compilation import GPUS
from evalharness.stack.kernels.table import OPS

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
DOCS = FOLDER.parent.parent / "docs"
PAGE = DOCS / "kernels.md"
PLOTS = {"cpu": DOCS / "kernels-cpu.svg", "cuda": DOCS / "kernels-cuda.svg"}
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
OWED = "owed"
SLOWER = 1.1
"""Times of plain torch that an op may take on a processor."""


class Row(NamedTuple):
    """What the table says of an op beside numbers."""

    plain: str
    """What a model's author would write."""
    goal: str = ""
    """On a GPU."""


ROWS = {
    "adamw": Row("`AdamW(fused=True).step`"),
    "cross_entropy": Row("`F.cross_entropy` in fp32", "85 % of a copy"),
    "exact_linear": Row("`F.linear`"),
    "experts": Row("a loop over the experts, as Mixtral's first code"),
    "flash_attention": Row("SDPA", "forward 55 % of a product and 0.8x of SDPA's FLASH, backward 0.7x"),
    "glu": Row("`F.silu(gate) * up`", "85 % of a copy"),
    "int4_linear": Row("`F.linear` of the weight, made numbers first"),
    "int8_linear": Row("`F.linear` of the weight, made numbers first"),
    "layer_norm": Row("`F.layer_norm`", "85 % of a copy"),
    "linear_cross_entropy": Row("`F.cross_entropy` of all logits"),
    "linear_scoring": Row("`log_softmax` of all logits", "80 % of a product, a tenth of the memory"),
    "paged_decode": Row("SDPA", "80 % of a copy"),
    "rms_norm": Row("`F.rms_norm`", "85 % of a copy"),
    "rope": Row("`x * cos + rotate_half(x) * sin`", "85 % of a copy"),
    "sampling": Row("`topk`, `sort`, `multinomial`"),
    "selective_scan": Row("a loop over the tokens"),
    "shared_prefix_attention": Row("SDPA of every row with a copy of its prefix"),
    "store_kv": Row("`cache[0, slots] = keys`, and so the values", "85 % of a copy"),
}
KERNELS = ("reference", "torch", "triton", "triton, recorded")
"""What computes end to end; recorded are steps of running texts, as CUDA graphs."""
PRICES = ("exact_linear",)
"""Ops that are slower for what they promise, which plain torch does not; they are not held to `SLOWER`."""
DTYPES = {"float32": "fp32", "bfloat16": "bf16"}
WARPS, REGISTERS = 64, 64 * 1024
"""Of a multiprocessor of an H100."""


def results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """What was measured, by the names of the files."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def write() -> None:
    found = results()
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    for kind, path in PLOTS.items():
        if kind in found:
            path.write_text(plot(kind, found[kind]), encoding="utf-8")


def renewed(text: str, found: dict[str, dict[str, Any]]) -> str:
    """The page with what is between its two marks written anew."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{section(found)}\n{END}{after}"


def section(found: dict[str, dict[str, Any]]) -> str:
    parts = [
        *_table(found), "", *_processor(found.get("cpu")), *_gpu(found.get("cuda")), *_end_to_end(found), "",
        *_builds(found.get("builds")),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


# --------------------------------------------------------------------------- the table of ops


def _table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "| op | plain torch | processor, fp32 | processor, bf16 | goal on a GPU | share, GPU | beside others, GPU |"
    yield "|---|---|---|---|---|---|---|"
    cpu, gpu = (_lines(found.get(kind)) for kind in ("cpu", "cuda"))
    for op in OPS:
        row = ROWS.get(op, Row(""))
        times = [_times(lines_of(cpu, op, dtype), math.inf if op in PRICES else SLOWER) for dtype in DTYPES]
        here = lines_of(gpu, op)
        yield f"| `{op}` | {row.plain} | {times[0]} | {times[1]} | {row.goal} | {_share(here)} | {_beside(here)} |"


def _lines(result: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [] if result is None else [line for line in result["lines"] if line.get("op")]


def op_of(name: str) -> str:
    """The op of a line: ``rope, partial`` is a form of ``rope``."""
    return name.partition(",")[0]


def lines_of(lines: list[dict[str, Any]], op: str, dtype: str | None = None) -> list[dict[str, Any]]:
    return [line for line in lines if op_of(line["op"]) == op and dtype in (None, line["dtype"])]


def ratio(line: dict[str, Any]) -> float | None:
    """The op's time by plain torch's, where both were measured."""
    found: float | None = line.get("times_plain", {}).get("dispatched")
    return found


def _times(lines: list[dict[str, Any]], most_allowed: float) -> str:
    """The median of an op's lines and their ends; in bold where one is slower than it may be."""
    ratios = sorted(found for line in lines if (found := ratio(line)) is not None)
    if not ratios:
        return OWED
    middle, least, most = f"{median(ratios):.2f}", f"{ratios[0]:.2f}", f"{ratios[-1]:.2f}"
    told = middle if len(ratios) == 1 else f"{middle} ({least} to {most})"
    return f"**{told}**" if ratios[-1] > most_allowed else told


def _share(lines: list[dict[str, Any]]) -> str:
    """Of the ceiling, the least and the most that Triton reached."""
    told = []
    for key, ceiling in (("of_copy", "a copy"), ("of_product", "a product")):
        shares = sorted(line[key]["triton"] for line in lines if "triton" in line.get(key, {}))
        if shares:
            ends = f"{shares[0]:.0%}" if len(shares) == 1 else f"{shares[0]:.0%} to {shares[-1]:.0%}"
            told.append(f"{ends} of {ceiling}")
    return ", ".join(told).replace("%", " %") or OWED


def _beside(lines: list[dict[str, Any]]) -> str:
    """Triton's speed by that of others, the least and the most."""
    told = []
    for name in ("torch", "torch.compile", "liger", "SDPA flash", "SDPA cuDNN"):
        ratios = sorted(
            line["milliseconds"][name] / line["milliseconds"]["triton"]
            for line in lines
            if {name, "triton"} <= line["milliseconds"].keys()
        )
        if ratios:
            ends = f"{ratios[0]:.2f}x" if len(ratios) == 1 else f"{ratios[0]:.2f} to {ratios[-1]:.2f}x"
            told.append(f"{ends} of {name}")
    return ", ".join(told) or OWED


# --------------------------------------------------------------------------- what is said of a device


def _processor(result: dict[str, Any] | None) -> Iterator[str]:
    if result is None:
        yield "The processor's columns are owed."
        yield ""
        return
    lines = [line for line in _lines(result) if ratio(line) is not None and op_of(line["op"]) not in PRICES]
    slow = [line for line in lines if (ratio(line) or 0) > SLOWER]
    yield f"![The time of each op by that of plain torch, over the time of plain torch]({PLOTS['cpu'].name})"
    yield ""
    yield (
        f"Read on {result['date']} on {result['device']}, {result['threads']} threads, torch {result['torch']}, at a "
        f"load of {result['load']}: {_ceilings(result)}. {len(lines) - len(slow)} of {len(lines)} measurements are at "
        f"most 10 % slower than plain torch{', these are not:' if slow else '.'}"
    )
    yield ""
    if slow:
        yield "| op | passes | numbers | shape | ours | plain torch | times |"
        yield "|---|---|---|---|---|---|---|"
        for line in sorted(slow, key=lambda line: -(ratio(line) or 0)):
            ours, plain = (_time(line["milliseconds"][name]) for name in ("dispatched", "plain"))
            yield (
                f"| {line['op']} | {line['passes']} | {DTYPES[line['dtype']]} | {line['case']}: {_shape(line)} | "
                f"{ours} | {plain} | {ratio(line):.2f} |"
            )
        yield ""
    yield from _exact(result)
    yield from _failed(result)


def _gpu(result: dict[str, Any] | None) -> Iterator[str]:
    if result is None:
        return
    yield f"![Shares of the ceiling on a GPU, over the time of each op]({PLOTS['cuda'].name})"
    yield ""
    yield (
        f"The GPU's columns were read on {result['date']} on {result['device']}, torch {result['torch']}: "
        f"{_ceilings(result)}."
    )
    yield ""
    yield from _exact(result)
    yield from _failed(result)


def _exact(result: dict[str, Any]) -> Iterator[str]:
    """What the engine's `exact` costs there."""
    found = [line for line in _lines(result) if "times_fast" in line]
    if found:
        told = [f"{line['times_fast']:.2f} ({line['passes']}, {DTYPES[line['dtype']]})" for line in found]
        yield f"The engine in `exact` takes {', '.join(told)} times what it takes in `fast` (`exact.py`)."
        yield ""


def _ceilings(result: dict[str, Any]) -> str:
    told = [
        f"{DTYPES[dtype]} {found['product_operations_a_second'] / 1e9:,.0f} GFLOP/s of a product"
        for dtype, found in result["ceilings"].items()
    ]
    copy = max(found["copy_bytes_a_second"] for found in result["ceilings"].values())
    return f"{copy / 1e9:,.1f} GB/s of a copy, {', '.join(told)}"


def _failed(result: dict[str, Any]) -> Iterator[str]:
    for script, why in result["failed"].items():
        yield f"`{script}.py` did not end well: {why}."
        yield ""


def _shape(line: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in line["shape"].items())


def _time(milliseconds: float) -> str:
    return f"{1000 * milliseconds:.3g} µs" if milliseconds < 1 else f"{milliseconds:.3g} ms"


# --------------------------------------------------------------------------- end to end


def _end_to_end(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The same work with each value of EVALHARNESS_KERNELS."""
    yield "End to end, tokens a second of the engine and the trainer under each value of `EVALHARNESS_KERNELS`"
    yield "(`end_to_end.py`):"
    yield ""
    yield f"| device | work | {' | '.join(KERNELS)} |"
    yield "|---|---|" + "---|" * len(KERNELS)
    for kind in ("cpu", "cuda"):
        result = found.get(f"end_to_end-{kind}")
        if result is None:
            works = ("scoring", "decoding, 1 text", "decoding", "training")
            cells = [(work, {}) for work in works]
            device = "processor" if kind == "cpu" else "GPU"
        else:
            cells = [(line["work"], line["tokens_a_second"]) for line in result["lines"]]
            device = f"{result['device']}, {result['date']}, load {result['load']}"
        for work, rates in cells:
            told = [_rate(rates, name, work, kind) for name in KERNELS]
            yield f"| {device} | {work} | {' | '.join(told)} |"


def _rate(rates: dict[str, float], name: str, work: str, kind: str) -> str:
    if name in rates:
        return f"{rates[name]:,.0f}" if rates[name] >= 100 else f"{rates[name]:.3g}"
    if name == "triton, recorded" and not work.startswith("decoding"):
        return ""
    return "interpreted only" if name.startswith("triton") and kind == "cpu" else OWED


# --------------------------------------------------------------------------- what compilers make of the kernels


def _builds(result: dict[str, Any] | None) -> Iterator[str]:
    """How many spill, and of the kernels with a goal what bounds the warps that a multiprocessor of an H100 holds."""
    if result is None:
        yield "What compilers make of the Triton kernels is owed."
        return
    lines = result["lines"]
    spilled = [line for line in lines if line["spilled"]]
    counts = {target: sum(line["target"] == target for line in lines) for target in GPUS}
    told = ", ".join(f"{count} for {target}" for target, count in counts.items())
    yield (
        f"Triton {result['triton']} compiles {told} (`builds.py`), each as launches of large models find it and as if "
        f"nothing were aligned. Numbers that do not fit into registers are spilled by {len(spilled)} of them, of the "
        f"aligned ones in bf16 and fp16 by {sum(line['aligned'] and line['dtype'] != 'fp32' for line in spilled)}. The "
        f"kernels with a goal, aligned, in bf16 on an H100, whose multiprocessors hold {WARPS} warps:"
    )
    yield ""
    yield "| kernel | constants | warps | registers a thread | spilled | shared memory | warps at once |"
    yield "|---|---|---|---|---|---|---|"
    for line in lines:
        if line["target"] == "sm_90" and line["aligned"] and line["dtype"] == "bf16" and ROWS[line["op"]].goal:
            constants = ", ".join(f"{name} {value}" for name, value in line["constants"].items() if name != "UPCAST")
            yield (
                f"| `{line['op']}`: `{line['kernel']}` | {constants} | {line['warps']} | {line['registers']} | "
                f"{line['spilled']} B | {line['shared'] / 1024:.0f} KiB | {_at_once(line)} |"
            )


def _at_once(line: dict[str, Any]) -> int:
    """Warps on a multiprocessor, by its 64 Ki registers, given out by eights a thread, and 227 KiB of shared memory."""
    warps: int = line["warps"]
    by_registers = REGISTERS // (-(-line["registers"] // 8) * 8 * 32 * warps)
    by_memory = GPUS["sm_90"].shared // (line["shared"] + 1024)
    return min(by_registers, by_memory, 32, WARPS // warps) * warps


# --------------------------------------------------------------------------- plots


def plot(kind: str, result: dict[str, Any]) -> str:
    """On a processor the ratio to plain torch of every line, on a GPU the share of its ceiling."""
    lines = _lines(result)
    if kind == "cpu":
        drawn = [
            Line(f"{name}, {passes}", _points(lines, dtype, passes), look, "points")
            for look, (dtype, name, passes) in enumerate(
                (dtype, name, passes) for dtype, name in DTYPES.items() for passes in ("forward", "both")
            )
        ]
        levels = [Level(SLOWER, "10 % slower than plain torch")]
        title = "Time of each op by that of plain torch"
    else:
        drawn = [
            Line(
                ceiling,
                [
                    Point(line["milliseconds"]["triton"], line[key]["triton"])
                    for line in lines
                    if "triton" in line.get(key, {})
                ],
                look,
                "points",
            )
            for look, (key, ceiling) in enumerate((("of_copy", "of a copy"), ("of_product", "of a product")))
        ]
        levels = [Level(1.0, "the ceiling")]
        title = "Share of the ceiling that each op's Triton kernel reaches"
    x_title = "milliseconds of plain torch" if kind == "cpu" else "milliseconds"
    kept = [line for line in drawn if line.points]
    return chart_file(kept, title=title, x_title=x_title, logarithmic=kind == "cpu", logarithmic_x=True, levels=levels)


def _points(lines: list[dict[str, Any]], dtype: str, passes: str) -> list[Point]:
    """``both`` holds what is done to weights, a step of an optimizer, too."""
    return sorted(
        Point(line["milliseconds"]["plain"], found)
        for line in lines
        if line["dtype"] == dtype
        and ("forward" if line["passes"] == "forward" else "both") == passes
        and (found := ratio(line)) is not None
    )


if __name__ == "__main__":
    write()
