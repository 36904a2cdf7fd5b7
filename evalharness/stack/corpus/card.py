"""What a corpus is: `corpus.json` for programs, `card.md` for people, `contaminated.json` with ids of benchmark items.

Nothing in them depends on when or how fast a corpus was built, so that equal corpora have equal cards.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalharness.stack.corpus.decontamination import Benchmarks
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.packing import PackedSource
from evalharness.stack.corpus.shards import ShardRecord, Shards, read_outcomes, shard_stem
from evalharness.stack.corpus.stages import Stages
from evalharness.stack.durable import write_whole

CORPUS, CARD, CONTAMINATED_ITEMS = "corpus.json", "card.md", "contaminated.json"
FORMAT = 1
"""Of the folder; shards of another one are not gone on with."""
_SIZES = ("characters", "bytes")
_KEPT = ("kept", "cut")


def write_card(
    folder: Path, options: PipelineOptions, stages: Stages, records: Mapping[str, Sequence[ShardRecord]]
) -> None:
    """Write the three files; `corpus.json` comes last and says that the corpus is whole."""
    found = _found(folder, records)
    encoder = stages.encoder
    facts: dict[str, Any] = {
        "format": FORMAT,
        "tokenizer": {
            "name": options.tokenizer,
            "fingerprint": encoder.fingerprint,
            "vocab_size": encoder.vocab_size,
            "end_id": encoder.end_id,
            "end_token": options.end_token,
            "dtype": encoder.dtype.name,
        },
        "sources": {name: _totals(own) for name, own in records.items()},
        "benchmarks": _benchmarks(stages.benchmarks, found) if stages.benchmarks else {},
        "packing": {},
        "mixture": options.mixture.model_dump(mode="json") if options.mixture else None,
    }
    if options.packing:
        for name, own in records.items():
            shards = Shards([shard_stem(folder, name, number) for number in range(len(own))], encoder.dtype)
            facts["packing"][name] = asdict(PackedSource(shards, options.packing, encoder.end_id).counts())
    write_whole(folder / CONTAMINATED_ITEMS, _json({task: sorted(ids) for task, ids in found.items()}))
    write_whole(folder / CARD, _card(folder.name, options, facts).encode("utf-8", "replace"))
    write_whole(folder / CORPUS, _json(facts))


def _totals(records: Sequence[ShardRecord]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for record in records:
        counts.update(record.counts)
    outcomes = {name: count for name, count in sorted(counts.items()) if name not in _SIZES}
    return {
        "shards": len(records),
        "read": sum(outcomes.values()),
        "outcomes": outcomes,
        "documents": sum(record.documents for record in records),
        "tokens": sum(record.tokens for record in records),
        **{size: counts[size] for size in _SIZES},
    }


def _found(folder: Path, records: Mapping[str, Sequence[ShardRecord]]) -> dict[str, Counter[str]]:
    """By task, in how many documents each item was found."""
    found: dict[str, Counter[str]] = {}
    for source, own in records.items():
        for number in range(len(own)):
            for line in read_outcomes(shard_stem(folder, source, number)):
                for task, id in line.get("items", ()):
                    found.setdefault(task, Counter())[id] += 1
    return dict(sorted(found.items()))


def _benchmarks(benchmarks: Benchmarks, found: Mapping[str, Counter[str]]) -> dict[str, Any]:
    return {
        task: {**asdict(facts), "found": len(found.get(task, ())), "matches": sum(found.get(task, Counter()).values())}
        for task, facts in sorted(benchmarks.tasks.items())
    }


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()


def _card(name: str, options: PipelineOptions, facts: Mapping[str, Any]) -> str:
    import yaml

    sources: Mapping[str, Mapping[str, Any]] = facts["sources"]
    tokenizer = facts["tokenizer"]
    every = sorted({outcome for source in sources.values() for outcome in source["outcomes"]} - set(_KEPT))
    lines = [
        f"# Corpus {name}",
        "",
        f"Tokens of the tokenizer `{tokenizer['name']}` ({tokenizer['vocab_size']:,} ids, {tokenizer['dtype']}); "
        f"the id {tokenizer['end_id']} ends each document.",
        "",
        *_table("source", ["documents read", "kept", "cut", "tokens", "characters", "bytes", "bytes per token"], {
            source: [
                f"{own['read']:,}", *(f"{own['outcomes'].get(outcome, 0):,}" for outcome in _KEPT),
                f"{own['tokens']:,}",
                *(f"{own[size]:,}" for size in _SIZES),
                f"{own['bytes'] / own['tokens']:.2f}" if own["tokens"] else "",
            ]
            for source, own in sources.items()
        }),
        "",
        "## Removed",
        "",
        "Each document is counted once, at what removed it first: what is broken or empty, the filters, copies of a "
        "document before it, what holds items of benchmarks.",
        "",
        *_table("reason", list(sources), {
            reason: [f"{own['outcomes'].get(reason, 0):,}" for own in sources.values()] for reason in every
        }),
    ]  # fmt: skip
    if facts["benchmarks"] and options.decontamination:
        rule = options.decontamination
        how = "one n-gram of an item" if rule.rule == "any" else f"{rule.share:.0%} of an item's n-grams"
        gone = (
            "the whole document" if rule.remove == "document" else f"the span with {rule.margin} characters each side"
        )
        lines += [
            "",
            "## Benchmarks",
            "",
            f"Looked for by n words in a row, in lower case and without punctuation. Contaminated is what holds {how}; "
            f"{gone} goes. The ids of the items found are in {CONTAMINATED_ITEMS}.",
            "",
            *_table("task", ["n", "items", "too short to look for", "items found", "matches in documents"], {
                task: [f"{own[key]:,}" for key in ("ngram", "items", "too_short", "found", "matches")]
                for task, own in facts["benchmarks"].items()
            }),
        ]  # fmt: skip
    if facts["packing"] and options.packing:
        lines += [
            "",
            "## Packing",
            "",
            f"Sequences of {options.packing.length:,} tokens by `{options.packing.method}`.",
            "",
            *_table("source", ["sequences", "tokens", "padded", "dropped", "documents cut"], {
                source: [f"{own[key]:,}" for key in ("sequences", "tokens", "padded", "dropped", "cut")]
                for source, own in facts["packing"].items()
            }),
        ]  # fmt: skip
    if options.mixture:
        lines += [
            "",
            "## Mixture",
            "",
            f"Weights by share of the training; in between by `{options.mixture.change}`.",
            "",
            *_table("from", list(sources), {
                f"{phase.at:.0%}": [f"{phase.weights.get(source, 0) / sum(phase.weights.values()):.1%}"
                                    for source in sources]
                for phase in options.mixture.schedule
            }),
        ]  # fmt: skip
    shown = options.model_dump(mode="json", exclude={"workers", "output"}, exclude_defaults=True)
    told = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join([*lines, "", "## How it was made", "", "```yaml", told.rstrip(), "```", ""])


def _table(head: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    if not rows:
        return ["Nothing."]
    lines = [f"| {' | '.join([head, *columns])} |", f"|---|{'---:|' * len(columns)}"]
    return lines + [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]
