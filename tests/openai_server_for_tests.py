"""A server on loopback that speaks OpenAI's protocol, answers by a hash of what it is asked, and can misbehave."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "loop"


class Server(ThreadingHTTPServer):
    """What the tests steer.

    `faults`: by a part of the prompt (``""`` is any), the faults of the next requests that hold it; the last one stays
    if it ends in ``...``. Faults: ``429``, ``429:SECONDS`` (with Retry-After), ``500``, ``401``, ``400``, ``drop``,
    ``half``, ``malformed``, ``hang:SECONDS``, ``no usage``, ``other model``, ``few log-probabilities``, ``no choices``.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: dict[str, deque[str]] = {}
        self.latency = 0.0
        self.echo = True
        self.completions = True
        self.chat = True
        self.reasoning: str | None = None
        self.key: str | None = None
        self.texts: dict[str, str] = {}
        """By a part of the prompt: what is said to it."""
        self.calls: dict[str, list[tuple[str, str]]] = {}
        """By a part of the prompt: the functions that are called in place of a text, each with its arguments' JSON."""
        self.tools = True
        self.asked: list[dict[str, Any]] = []
        """Every body, in order."""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def spec(self) -> str:
        """What stands behind --model."""
        return f"openai:{self.url}#{MODEL}"

    def fault(self, prompt: str) -> str | None:
        with self.lock:
            for part, faults in self.faults.items():
                if part in prompt and faults:
                    if faults[0].endswith("..."):
                        return faults[0].removesuffix("...")
                    return faults.popleft()
        return None


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None: ...

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/v1/models":
            self._say(
                200, {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "x"}]}
            )
        else:
            self._say(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        prompt = body.get("prompt") or (body.get("messages") or body["input"])[-1]["content"]
        read = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        with self.server.lock:
            self.server.asked.append(body)
        fault = self.server.fault(read)
        if fault and self._misbehaved(fault, body):
            return
        time.sleep(self.server.latency)
        if self.path == "/v1/responses":
            self._say(200, self._response(body, read))
            return
        texts = self.path.endswith("/completions") and "messages" not in body
        if (texts and not self.server.completions) or (not texts and not self.server.chat):
            self._say(404, {"error": {"message": "not offered"}})
            return
        if body.get("tools") and not self.server.tools:
            self._say(400, {"error": {"message": "tools need --enable-auto-tool-choice"}})
            return
        self._say(200, self._answer(body, read, fault))

    def _refused(self) -> bool:
        if self.server.key is None or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return False
        self._say(401, {"error": {"message": "wrong key", "code": "invalid_api_key"}})
        return True

    def _misbehaved(self, fault: str, body: dict[str, Any]) -> bool:
        kind, _, value = fault.partition(":")
        if kind == "429":
            self._say(429, {"error": {"message": "too many"}}, {"Retry-After": value} if value else {})
        elif kind in ("500", "400", "401"):
            said = {"400": "maximum context length is 8 tokens", "500": "oops", "401": "key expired"}[kind]
            self._say(int(kind), {"error": {"message": said}})
        elif kind == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif kind == "half":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"id": "x", "choices": [{"te')
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif kind == "malformed":
            self._raw(200, b'{"id": "x", "choices": [}')
        elif kind == "hang":
            time.sleep(float(value))
            return False
        elif kind == "no choices":
            self._say(200, {"id": "x", "object": "text_completion", "model": MODEL})
        else:
            return False
        return True

    def _answer(self, body: dict[str, Any], read: str, fault: str | None) -> dict[str, Any]:
        said = next((text for part, text in self.server.texts.items() if part in read), None) or answer(read)
        stop = body.get("stop") or []
        cut = min((said.find(text) for text in stop if text in said), default=-1)
        said = said if cut < 0 else said[:cut]
        number = body.get("n", 1)
        model = "another" if fault == "other model" else MODEL
        told: dict[str, Any] = {"id": "x", "created": 0, "model": model}
        if fault != "no usage":
            told["usage"] = {
                "prompt_tokens": len(read),
                "completion_tokens": len(said),
                "total_tokens": len(read) + len(said),
            }
        reason = "length" if body.get("max_tokens", 99) < len(said) else "stop"
        if "messages" in body:
            message: dict[str, Any] = {"role": "assistant", "content": said}
            if self.server.reasoning is not None:
                message["reasoning_content"] = self.server.reasoning
            called = next((calls for part, calls in self.server.calls.items() if part in read), None)
            if called is not None and body.get("tools"):
                message |= {"content": None, "tool_calls": _tool_calls(called)}
                reason = "tool_calls"
            choices = [{"index": turn, "message": message, "finish_reason": reason} for turn in range(number)]
            return {**told, "object": "chat.completion", "choices": choices}
        choice: dict[str, Any] = {"text": said, "finish_reason": reason, "logprobs": None}
        if body.get("echo"):
            if not self.server.echo:
                return {**told, "object": "text_completion", "choices": [{"index": 0, **choice}]}
            choice = {"text": read + said, "finish_reason": "length", "logprobs": self._echo(body["prompt"], fault)}
        return {**told, "object": "text_completion", "choices": [{"index": turn, **choice} for turn in range(number)]}

    def _response(self, body: dict[str, Any], read: str) -> dict[str, Any]:
        said = answer(read)
        cut = len(said) > body["max_output_tokens"]
        message = {"type": "output_text", "text": said[: body["max_output_tokens"]], "annotations": []}
        called = (
            next((calls for part, calls in self.server.calls.items() if part in read), []) if body.get("tools") else []
        )
        calls = [
            {"type": "function_call", "id": f"f{turn}", "call_id": f"c{turn}", "name": name, "arguments": arguments}
            for turn, (name, arguments) in enumerate(called)
        ]
        usage = {"input_tokens": len(read), "output_tokens": len(said), "total_tokens": len(read) + len(said)}
        return {
            "id": "x",
            "object": "response",
            "created_at": 0,
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "model": MODEL,
            "output": [
                {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]},
                {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [message]},
                *calls,
            ],
            "usage": {
                **usage,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def _echo(self, prompt: str | list[int], fault: str | None) -> dict[str, Any]:
        """A token is a letter, or an id; one more is generated."""
        tokens = [*prompt, "!"] if isinstance(prompt, str) else [f"<{id}>" for id in [*prompt, 0]]
        values: list[float | None] = [None, *(value(tokens, place) for place in range(1, len(tokens)))]
        best = [None, *({token: one} if greedy(tokens, place) else {token: one, "~": one / 2}
                        for place, (token, one) in enumerate(zip(tokens[1:], values[1:], strict=True), 1))]  # fmt: skip
        kept = len(tokens) // 2 if fault == "few log-probabilities" else len(tokens)
        offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
        return {
            "tokens": tokens[:kept],
            "token_logprobs": values[:kept],
            "top_logprobs": best[:kept],
            "text_offset": offsets[:kept],
        }

    def _say(self, status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(told).encode(), headers or {})

    def _raw(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


def _tool_calls(called: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"id": f"call-{turn}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for turn, (name, arguments) in enumerate(called)
    ]


def answer(prompt: str) -> str:
    """What the server says to a prompt."""
    return f" So the answer is {'yes' if _number(prompt) % 2 else 'no'}."


def value(tokens: list[Any], place: int) -> float:
    """Log-probability of a token after those before it."""
    return -(_number(repr(tokens[: place + 1])) % 997) / 100 - 0.01


def greedy(tokens: list[Any], place: int) -> bool:
    return _number(repr(tokens[: place + 1])) % 3 == 0


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
