"""What a report says of a run before its scores: what was asked, of what, with what."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from evalharness.records.run import RunRecord, changes_of
from evalharness.report.reading import Reported
from evalharness.report.tables import facts

HASH = 12
"""Digits of a hash that people see; the whole is its tooltip."""


def title(record: RunRecord) -> str:
    return f"{record.task} · {record.protocol} · {record.model.get('name', 'unnamed')}"


def heading(reported: Reported) -> str:
    """Notes, then facts."""
    record = reported.record
    notes = "".join(f'<p class="note">{escape(note)}</p>\n' for note in reported.notes)
    return notes + facts(
        [
            ("Task", _joined(record.task, record.definition.get("ability"))),
            ("Protocol", f"{escape(record.protocol)} {_hash(record.hashes.get('protocol'))}"),
            ("Changed by options", escape(", ".join(changes_of(record)))),
            ("Demonstrations", _hash(record.hashes.get("demonstrations"))),
            ("Content", _hash(record.hashes.get("content"))),
            ("Settings", _hash(record.hashes.get("settings"))),
            ("Model", _model(record)),
            ("Arithmetic", _arithmetic(record.model)),
            ("Samples", _samples(reported)),
            ("Data", "<br>".join(escape(_source(source)) for source in record.data)),
            ("Run", f"{escape(record.id)} ({escape(record.state)})"),
            ("Time", _joined(record.created, f"to {record.finished}" if record.finished else None)),
            ("Machine", _machine(record.environment)),
            ("Versions", _versions(record.environment)),
            ("Command", _command(record.environment)),
            ("Scored again from", escape(record.rescored_from or "")),
        ]
    )


def _joined(*parts: object) -> str:
    return escape(", ".join(str(part) for part in parts if part not in (None, "")))


def _hash(value: str | None) -> str:
    return f'<code title="{escape(value)}">{escape(value[:HASH])}</code>' if value else ""


def _model(record: RunRecord) -> str:
    model = record.model
    details = model.get("details", {})
    parameters = details.get("parameters")
    told = _joined(
        model.get("name"), model.get("kind"), details.get("architecture"), details.get("quantisation"),
        f"{parameters:,} parameters" if isinstance(parameters, int) else None,
    )  # fmt: skip
    fingerprint = model.get("fingerprint")
    return f"{told} {_hash(str(fingerprint))}" if fingerprint else told


def _arithmetic(model: Mapping[str, Any]) -> str:
    details = model.get("details", {})
    threads = details.get("threads")
    return _joined(
        details.get("dtype"),
        details.get("weights"),
        details.get("device"),
        f"{threads} threads" if threads else None,
        model.get("numerics"),
    )


def _samples(reported: Reported) -> str:
    of = reported.record.of
    return f"{len(reported.facts):,} of {'an unknown number' if of is None else format(of, ',')}"


def _source(source: Mapping[str, Any]) -> str:
    told = [str(source[key]) for key in ("kind", "location", "config", "split") if source.get(key)]
    if source.get("n") is not None:
        told.append(f"{source['n']} rows")
    if source.get("revision"):
        told.append(f"revision {str(source['revision'])[:HASH]}")
    return ", ".join(told)


def _machine(environment: Mapping[str, Any]) -> str:
    return _joined(environment.get("cpu"), environment.get("platform"))


def _versions(environment: Mapping[str, Any]) -> str:
    git = environment.get("git") or {}
    versions = {"Python": environment.get("python"), **environment.get("versions", {})}
    told = [f"{name} {version}" for name, version in versions.items() if version]
    if git.get("commit"):
        told.append(f"commit {str(git['commit'])[:HASH]}{' with changes' if git.get('dirty') else ''}")
    return escape(", ".join(told))


def _command(environment: Mapping[str, Any]) -> str:
    command = environment.get("command")
    return f"<code>{escape(shlex.join(map(str, command)))}</code>" if command else ""
