"""What a record says of the request."""

from __future__ import annotations

from pathlib import Path

from evalharness.records.folder import read_run
from evalharness.records.run import protocol_of

FIXTURE = Path(__file__).parent / "fixtures" / "run_format_1"


def test_the_protocol_is_shown_with_what_the_user_changed() -> None:
    record = read_run(FIXTURE).record.model_copy(update={"protocol": "default", "options": {"task": ["gsm8k"]}})
    assert protocol_of(record) == "default"
    options = {"shots": 0, "method": "direct", "limit": 3, "set": {"decode": {"temperature": 0.7}}}
    changed = record.model_copy(update={"options": options})
    assert protocol_of(changed) == "default (shots=0, method=direct, decode.temperature=0.7)"
