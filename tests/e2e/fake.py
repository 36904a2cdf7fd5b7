"""A model of the tests' own: it answers by a hash of what it is asked, slowly if told to, and logs every request.

In a process of its own it is found as the plugin ``--model fake:KEY=VALUE&...`` (`plugin_folder`).
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from evalharness.types import (
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Prompt,
    Request,
    Result,
    Tokenizer,
    Wave,
)


class Letters:
    """A token is a character."""

    bos_id: int | None = 0
    eos_id: int | None = 1
    add_bos = False
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = {}
    fingerprint = "letters"

    def encode(self, text: str) -> list[int]:
        return [ord(letter) + 2 for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(id - 2) for id in ids if id > 1)


@dataclass
class Fake:
    """The backend.

    `log`: file that gets a line ``sample_id call`` for each request that is begun.
    `seconds`: how long one request takes. `fail`: every so-manieth request fails; 1 is all of them.
    `raises`: a whole wave ends with an exception of no class of ours.
    `kill`: sample whose request ends the process; `once`: file that is made then, and spares the process after that.
    """

    log: Path | None = None
    seconds: float = 0.0
    max_length: int | None = None
    fail: int = 0
    raises: bool = False
    kill: str = ""
    once: Path | None = None
    name: str = "fake"
    verbs: frozenset[Any] = frozenset({"score", "generate"})
    _served: int = 0

    tokenizer: Tokenizer | None = field(default_factory=Letters)

    @property
    def info(self) -> BackendInfo:
        return BackendInfo(
            name=self.name,
            kind="fake",
            accepts=frozenset({"ids"}),
            fingerprint=self.name,
            max_length=self.max_length,
            verbs=self.verbs,
        )

    def answer(self, wave: Wave) -> None:
        if self.raises:
            raise RuntimeError("the fake has broken down")
        waiting = list(wave)
        while waiting:
            ticket = waiting.pop(0)
            if not ticket.cancelled:
                ticket.begin()
                self._note(ticket.request)
                self._perhaps_die(ticket.request)
                time.sleep(self.seconds)
                self._served += 1
                if self.fail and self._served % self.fail == 0:
                    ticket.fail(OSError("the fake does not feel like it"))
                else:
                    ticket.resolve(answered(ticket.request))
            waiting += wave.joined()

    def close(self) -> None: ...

    def _perhaps_die(self, request: Request) -> None:
        if request.origin.sample_id == self.kill and not (self.once and self.once.exists()):
            if self.once:
                self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, request: Request) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{request.origin.sample_id} {request.origin.call}\n")


def answered(request: Request) -> Result:
    """What the fake says, by the request alone."""
    if isinstance(request, GenerateRequest):
        texts = [
            f"Well, #### {number(_read(request.prompt), request.sampling.seed, turn) % 40}" for turn in range(request.n)
        ]
        return Completions(tuple(Completion(text=text, ids=tuple(range(len(text)))) for text in texts))
    assert request.ids is not None
    scored = len(request.ids) - request.start
    draws = [number(request.ids, request.start, turn) for turn in range(scored)]
    return Likelihood(tuple(-(draw % 9973) / 1000 for draw in draws), tuple(draw % 2 == 0 for draw in draws))


def _read(prompt: Prompt) -> object:
    return prompt.text if prompt.ids is None else prompt.ids


def number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def load(spec: str, *, max_length: int | None = None, **others: Any) -> Fake:
    """What ``--model fake:KEY=VALUE&...`` means."""
    given = dict(parse_qsl(spec))
    return Fake(
        log=Path(given["log"]) if "log" in given else None,
        seconds=float(given.get("seconds", 0)),
        fail=int(given.get("fail", 0)),
        raises="raises" in given,
        kill=given.get("kill", ""),
        once=Path(given["once"]) if "once" in given else None,
        max_length=max_length,
    )


def plugin_folder(folder: Path) -> Path:
    """A folder that, on the path of a process, makes this module the backend ``fake`` by an entry point."""
    facts = folder / "fake_backend-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-backend\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[evalharness.backends]\nfake = e2e.fake:load\n")
    return folder
