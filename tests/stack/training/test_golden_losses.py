"""The losses of twenty steps, as they were: a change in any part of a training shows here.

Numbers are compared to 1e-4 of themselves. Processors and versions of torch add up in other orders: with torch's plain
kernels and MKL's compatible ones in place of AVX2, and two threads in place of one, losses came out up to 3e-7 of
themselves elsewhere. With Muon it was 3e-4, since torch makes matrices orthogonal in bf16, where another last bit is
4e-3; they are compared to 2e-3. A wrong sign, a decay that is left out or a batch in another order change more than
that. `EVALHARNESS_REGENERATE=1` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from stack.training.tiny_pretraining import losses, options

from evalharness.stack.training.pretrain import pretrain

pytestmark = pytest.mark.usefixtures("_training")

GOLDEN = Path(__file__).with_name("golden_losses.json")
TOLERANCE = {"gpt2": 1e-4, "llama_muon": 2e-3, "postnorm_adafactor_prefix": 1e-4}
LONGER = {"corpus": "corpus", "context": 48}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model": {
            "norm": "layer_norm",
            "feed_forward": "gelu_tanh",
            "positions": "learned",
            "biases": "all",
            "tied_embeddings": True,
        },
        "data": {"boundaries": False},
        "embedding_gradient": 0.1,
        "schedule": {"shape": "cosine", "warmup": 4, "floor": 0.1},
    },
    "llama_muon": {
        "model": {"kv_heads": 1, "qk_norm": True},
        "data": {**LONGER, "packing": "best_fit"},
        "optimizer": [
            {"kind": "matrix", "name": "muon", "rate": 0.02, "weight_decay": 0.1},
            {"rate": 0.01, "weight_decay": 0.01},
        ],
        "schedule": {"shape": "wsd", "warmup": 2, "decay_steps": 8},
        "z_loss": 1e-3,
        "batch": {"ramp": [{"from_step": 10, "sequences": 8}]},
    },
    "postnorm_adafactor_prefix": {
        "model": {"residual": "post", "norm": "layer_norm", "positions": "sinusoidal", "feed_forward": "relu"},
        "data": LONGER,
        "objective": {"name": "prefix_lm", "split": "marker", "marker": "Q:"},
        "optimizer": [{"name": "adafactor", "rate": 0.2}],
        "schedule": {"shape": "linear"},
        "clip": 0.5,
    },
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_twenty_steps(base: Path, name: str) -> None:
    pretrain(options(name, **CONFIGURATIONS[name]), base)
    found = losses(base / name)
    assert len(found) == 20
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("EVALHARNESS_REGENERATE"):
        known[name] = [round(loss, 7) for loss in found]
        GOLDEN.write_text(json.dumps(known, indent=1) + "\n")
    assert found == pytest.approx(known[name], rel=TOLERANCE[name])
    assert found[-1] < found[0] - 0.5


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_how_it_is_computed_changes_nothing(base: Path, name: str) -> None:
    """Not blocks that are computed again, nor checkpoints written beside, by a bit; micro-batches but for rounding."""
    given = {**CONFIGURATIONS[name], "steps": 8, "schedule": {"warmup": 3}}
    pretrain(options("plain", **given), base)
    again = {"compute": {"recompute": "blocks"}, "checkpoints": {"beside": False, "every": 4}}
    pretrain(options("again", **given, **again), base)
    assert losses(base / "again") == losses(base / "plain")
    sizes = given.get("batch", {})
    for micro in (1, None):
        pretrain(options(f"micro-{micro}", **{**given, "batch": {**sizes, "micro": micro}}), base)
        assert losses(base / f"micro-{micro}") == pytest.approx(losses(base / "plain"), rel=TOLERANCE[name])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_bf16_is_close(base: Path, name: str) -> None:
    pretrain(options("bf16", **CONFIGURATIONS[name], compute={"precision": "bf16"}), base)
    wide, narrow = json.loads(GOLDEN.read_text())[name], losses(base / "bf16")
    assert narrow != pytest.approx(wide, rel=1e-5)
    assert narrow == pytest.approx(wide, rel=0.03)


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_compiled_is_the_same_but_for_rounding(base: Path, name: str) -> None:
    given = CONFIGURATIONS[name]
    pretrain(options("plain", **given), base)
    pretrain(options("compiled", **given, compute={"compile": True}), base)
    assert losses(base / "compiled") == pytest.approx(losses(base / "plain"), rel=1e-3)
