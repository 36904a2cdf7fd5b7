"""The picture that ``run --explain-engine`` draws: depth, sharing, and where the time went."""

from __future__ import annotations

from evalharness.records.run import ResultsRecord

BAR = 40
"""Characters of the longest bar."""
MOST_ROWS = 32


def picture(results: ResultsRecord) -> list[str]:
    """Lines of the picture; empty where the engine counted nothing.

    A row is a stretch of depth in the prefix tree. Its bar is what jobs asked for: ``#`` the part that was computed,
    ``.`` what was shared, and so cost nothing.
    """
    engine, tree = results.engine, results.engine_tree
    if not engine:
        return []
    whole = engine["prefill_seconds"] + engine["decode_seconds"]

    def share(seconds: float) -> str:
        return f"{seconds / whole:5.1%}" if whole else "    -"

    lines = ["depth            asked   computed  shared  branches   time  # computed . shared"]
    step = tree[1].depth if len(tree) > 1 else 0
    together = -(-len(tree) // MOST_ROWS)
    rows = [tree[number : number + together] for number in range(0, len(tree), max(1, together))]
    longest = max((sum(layer.asked for layer in row) for row in rows), default=1) or 1
    for row in rows:
        asked, computed = sum(layer.asked for layer in row), sum(layer.computed for layer in row)
        begin, end = row[0].depth, row[-1].depth + (step or asked) - 1
        filled = round(BAR * computed / longest)
        bar = "#" * filled + "." * (round(BAR * asked / longest) - filled)
        lines.append(
            f"{f'{begin:,}-{end:,}':<11} {asked:>10,} {computed:>10,} "
            f"{f'{asked / computed:.1f}x' if computed else '-':>7} {sum(layer.branches for layer in row):>9,}  "
            f"{share(sum(layer.seconds for layer in row))}  {bar}"
        )
    if engine["tokens_decoded"]:
        lines.append(
            f"texts: {int(engine['tokens_decoded']):,} tokens drawn in {engine['decode_seconds']:.1f} s "
            f"({share(engine['decode_seconds']).strip()} of the time), "
            f"{int(engine['wrong_guesses']):,} rows guessed in vain"
        )
    rest = results.seconds - whole
    lines.append(
        f"{int(engine['steps']):,} steps took {whole:.1f} s; {max(0.0, rest):.1f} s of the run were outside the engine"
    )
    return lines
