"""`evalharness scaling fit` from files to tables, JSON and a page; what is wrong is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.command import said
from scaling.planted import runs

from evalharness.cli.scaling import _size_of
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.training.models import config_to_json, shaped

FORMS = ["chinchilla", "kaplan", "kaplan_N", "kaplan_D", "kaplan_C"]
QUICK = ("--bootstrap", 20)


@pytest.fixture
def table(here: Path) -> Path:
    """36 runs of a planted law."""
    path = here / "points.csv"
    lines = [f"{run.name},{run.parameters!r},{run.tokens!r},{run.loss!r}" for run in runs(noise=0.003, seed=5)]
    path.write_text("\n".join(["name,parameters,tokens,loss", *lines, ""]))
    return path


def test_a_table_is_fitted_and_a_larger_run_predicted(table: Path) -> None:
    out = said("scaling", "fit", table, "--hold-out", 1, "--target", "1e22", *QUICK).done().out
    assert "35 runs are fitted, over 4.52 decades of operations; held out: 1." in out
    assert "chinchilla: L = E + A/N^alpha + B/D^beta, 35 runs" in out
    (line,) = [line for line in out.splitlines() if line.split()[:3] == ["3e+09-1e+11", "3x", "chinchilla"]]
    assert abs(float(line.split()[-1].rstrip("%"))) < 2
    assert any(line.split()[:2] == ["1e+22", "chinchilla"] for line in out.splitlines())


def test_json_stands_alone(table: Path) -> None:
    found = json.loads(said("scaling", "fit", table, "--hold-out", 1, "--json", *QUICK).done().out)
    assert list(found["forms"]) == FORMS
    alpha = found["forms"]["chinchilla"]["parameters"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert alpha["value"] == pytest.approx(0.35, abs=0.05)
    assert found["forms"]["chinchilla"]["resamples"] == 20
    assert [run["held_out"] for run in found["runs"]].count(True) == 1
    assert found["operations_per_parameter_and_token"] == 6


def test_a_page_has_the_pictures_and_needs_nothing_else(table: Path, here: Path) -> None:
    said("scaling", "fit", table, "--output", "page.html", "--form", "chinchilla", *QUICK).done()
    page = (here / "page.html").read_text()
    assert "<h1>Scaling laws of 36 runs</h1>" in page
    for title in ("Loss over operations", "Best number of parameters for a budget of operations"):
        assert f"<figcaption>{title}</figcaption>" in page
    assert page.count('<svg class="curves"') >= 3
    assert "http" not in page.replace("http://www.w3.org", "")
    assert ">nan<" not in page


MODELS = {
    "mamba": MambaConfig(vocab_size=64, width=16, layers=2, time_step_rank=2, state_size=4, max_length=64),
    "t5": EncoderDecoderConfig(
        vocab_size=64, width=16, encoder_layers=2, decoder_layers=2, heads=2, head_dim=8, ffn_width=32
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_that_are_no_decoders_are_counted(name: str) -> None:
    config = MODELS[name]
    model = shaped(config)
    size = _size_of(config_to_json(config), 32)
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    # Both use the embedding as their head; the T5 looks up how far apart tokens are, in two tables.
    assert size.non_embedding == size.parameters - 64 * 16 - (2 * 32 * 2 if name == "t5" else 0)
    assert (size.operations is None) == (name == "t5")


def test_what_is_wrong_is_said(here: Path, table: Path) -> None:
    said("scaling", "fit", table, "--form", "chinchila").refused(64, "did you mean 'chinchilla'?")
    said("scaling", "fit", table, "--loss", "test").refused(64, "--loss test: no such choice")
    said("scaling", "fit", table, "--target", "-1").refused(64, "--target -1.0: give a number of operations above 0.")
    said("scaling", "fit", here).refused(64, "neither the folder of a training")
    (here / "two.csv").write_text("parameters,tokens,loss\n1e6,2e7,4\n2e6,4e7,3.8\n")
    said("scaling", "fit", "two.csv").refused(65, "2 runs do not determine the 5 parameters")
