"""What no proof may say: words by which one would assume what it should prove, or speak as the checker."""

from __future__ import annotations

import re

ASSUMING = ("sorry", "admit", "sorryAx", "axiom", "native_decide", "opaque", "unsafe", "implemented_by", "extern")
"""What stands for a proof, or for what the kernel has checked."""
SPEAKING = (
    "macro", "macro_rules", "syntax", "notation", "infix", "infixl", "infixr", "prefix", "postfix", "elab",
    "elab_rules", "declare_syntax_cat", "run_cmd", "run_tac", "run_elab", "run_meta", "initialize",
    "builtin_initialize", "dbg_trace", "dbgTrace", "IO", "import",
)  # fmt: skip
"""What changes the language, runs programs or prints: the axioms that a proof uses are read from what Lean prints."""
AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""Those of Lean itself, which Mathlib uses everywhere."""

_WORD = re.compile(rf"(?<![\w.'])(?:{'|'.join((*ASSUMING, *SPEAKING))})(?![\w'])|skipKernelTC|#\w+")
_COMMENT = re.compile(r"/-(?:[^-/]|-(?!/)|/(?!-))*-/")
_LINE = re.compile(r"--[^\n]*")
_NAME = re.compile(r"(?:^|\s)(?:theorem|lemma)\s+([^\s({\[:]+)")
_USED = re.compile(r"'([^']+)' (?:depends on axioms:\s*\[([^\]]*)\]|does not depend on any axioms)")


def forbidden(proof: str) -> str | None:
    """The first word of a proof that it may not say; comments do not count.

    Where a text has quotation marks, in which the signs of a comment would mean nothing, its comments count too.
    """
    found = _WORD.search(proof if '"' in proof or "«" in proof else without_comments(proof))
    return found[0] if found else None


def without_comments(text: str) -> str:
    """A text of Lean without quotation marks, its comments taken out from the inside."""
    while True:
        inner = _COMMENT.sub(" ", text)
        if inner == text:
            return _LINE.sub("", text)
        text = inner


def name_of(statement: str) -> str | None:
    """The theorem's name; of several the last one, which is to be proven."""
    names = _NAME.findall(statement)
    return names[-1] if names else None


def axioms_of(name: str, printed: str) -> frozenset[str] | None:
    """What ``#print axioms`` said of a theorem last; None where it said nothing."""
    said = [axioms for theorem, axioms in _USED.findall(printed) if theorem == name]
    return frozenset(axiom.strip() for axiom in said[-1].split(",") if axiom.strip()) if said else None
