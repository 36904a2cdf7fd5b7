"""Which language a text is in, by its script and, in Latin script, by its function words.

Simple on purpose: it tells the languages of these tables from one another in texts of a paragraph or more, and says
nothing of others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

SCRIPTS: Mapping[str, str] = {
    "ru": r"[\u0400-\u04ff]", "el": r"[\u0370-\u03ff]", "he": r"[\u0590-\u05ff]", "ar": r"[\u0600-\u06ff]",
    "hi": r"[\u0900-\u097f]", "th": r"[\u0e00-\u0e7f]", "ko": r"[\uac00-\ud7af]", "ja": r"[\u3040-\u30ff]",
    "zh": r"[\u4e00-\u9fff]",
}  # fmt: skip
"""A script that one language stands for here: Cyrillic is ru, whatever is written in it. Kana make a text with Chinese
characters Japanese."""

FUNCTION_WORDS: Mapping[str, str] = {
    "en": "the of and a to in that is was it for with as his he be on not by but are have this from which you i "
    "my she her him they me we at had said all so what no if would there their or an one were been has "
    "who will more when your do",
    "de": "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus "
    "er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder "
    "aber vor zur bis mehr durch man ich wir",
    "fr": "de la le et les des en un une du dans est que qui il pour par pas sur au ne se ce plus avec sont "
    "cette ou mais on son ses elle nous vous je leur aux même été comme tout sa être fait deux lui était "
    "ont après sans",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más pero sus le ya o fue "
    "este ha sí porque esta son entre cuando muy sin sobre ser también me hasta hay donde quien desde "
    "todo nos",
    "it": "di e il la che in un per del non è della una con si le da sono al dei gli ma come anche nel i a "
    "delle alla o se ha più dal nella lo questo suo mi ci ed era degli essere quando molto tutti cui "
    "perché sua",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua "
    "ou quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos são foi",
    "nl": "de van het een en in is dat op te zijn met voor die niet aan er om ook als bij maar uit naar hij "
    "door over ze was je ik nog of dan heeft worden deze wordt kan geen meer wel zich hebben werd zou dit "
    "wat haar",
    "sv": "och i att det som en på är av för med den till inte om ett han men var jag sig från så kan de har "
    "hade nu eller ut upp vid vi mot när skulle där hur efter under denna mycket hon sin också alla",
    "pl": "w i z na się nie do to że jest o jak ale za po co od tak przez był dla jego czy tylko już ma mnie go "
    "przy są ich może które który była być jej tego ten bardzo kiedy sobie też nawet jednak przed będzie "
    "a",
}
_WORDS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
_SCRIPTS = {language: re.compile(script) for language, script in SCRIPTS.items()}
_WORD = re.compile(r"[^\W\d_]+")
LOOKED_AT = 20_000
"""Characters that decide: the beginning of a long document."""

KNOWN = (*FUNCTION_WORDS, *SCRIPTS)


def language_of(text: str) -> tuple[str, float]:
    """The likeliest language of `KNOWN` and what speaks for it: the share of letters that are of its script, or of
    words that are its function words. ``("", 0.0)`` for a text without a letter."""
    text = text[:LOOKED_AT].lower()
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    if not letters:
        return "", 0.0
    if not text.isascii():
        scripts = {language: len(script.findall(text)) / letters for language, script in _SCRIPTS.items()}
        if scripts["ja"] > 0.1:
            scripts["ja"] += scripts.pop("zh")
        language = max(scripts, key=lambda name: scripts[name])
        if scripts[language] > 0.5:
            return language, min(1.0, scripts[language])
    counts = Counter(words)
    shares = {
        language: sum(counts[word] for word in known & counts.keys()) / len(words) for language, known in _WORDS.items()
    }
    language = max(shares, key=lambda name: shares[name])
    return language, shares[language]
