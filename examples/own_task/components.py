"""A parser for capitals.yaml. It is run only where the user says --trust-code."""

import re
from collections.abc import Sequence

from evalharness.answers.base import Parser
from evalharness.types import Parsed


class CapitalLettersParser(Parser):
    """The first words that begin with a capital letter: "New Delhi" of "the city of New Delhi, in the north"."""

    parser: str = "capital_letters"

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        found = re.search(r"[A-Z]\w*(?: [A-Z]\w*)*", text)
        if found is None:
            return Parsed(None, why="no word begins with a capital letter")
        return Parsed(found[0], found.span())


COMPONENTS = {"parser": {"capital_letters": CapitalLettersParser}}
