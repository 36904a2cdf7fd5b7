"""Which implementation computes, what the user may say of it, and that nothing is imported before it is used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels import op as ops
from evalharness.stack.kernels.op import Op, Signature, triton_missing, used, using
from evalharness.stack.kernels.rms_norm import OP, rms_norm
from evalharness.stack.kernels.table import OPS, op
from evalharness.stack.kernels.told import VARIABLE, told_kernels

X, WEIGHT = torch.ones(2, 8), torch.ones(8)


def chosen(like: torch.Tensor, size: int = 0, of: Op = OP) -> str:
    return of.implementation(like, size).__name__.rpartition(".")[2]


@pytest.mark.parametrize("name", OPS)
def test_each_op_is_found_by_its_name_and_has_its_functions_three_times(name):
    found = op(name)
    assert found.name == name
    modules = ["reference", "in_torch", *(["in_triton"] if found.signatures else [])]
    package = importlib.import_module(f"evalharness.stack.kernels.{name}")
    public = [each for each, value in vars(package).items() if getattr(value, "__module__", "") == package.__name__]
    public = [each for each in public if callable(getattr(package, each)) and each.islower() and each[0] != "_"]
    loaded = [importlib.import_module(f"{package.__name__}.{module}") for module in modules]
    # What an implementation takes from the package, as a choice of tiles, is not implemented there.
    own = [{each for each, value in vars(module).items() if value is not vars(package).get(each)} for module in loaded]
    offered = [each for each in public if any(each in names for names in own)]
    assert offered
    for module, names in zip(loaded, own, strict=True):
        assert [each for each in offered if each in names] == offered, module.__name__


def test_a_processor_computes_with_torch_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    ops._forget()
    assert chosen(X) == "in_torch"
    for told, expected in (
        ("torch", "in_torch"),
        ("reference", "reference"),
        ("rms_norm=reference", "reference"),
        ("reference,rms_norm=torch", "in_torch"),
        ("glu=reference", "in_torch"),
    ):
        with using(told):
            assert chosen(X) == expected
    assert chosen(X) == "in_torch"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("fast", "no implementation is called 'fast'; say reference, torch or triton."),
        ("rms_norm=", "no implementation is called ''"),
        ("norm=torch", "there is no op 'norm'; there are adamw, "),
    ],
)
def test_an_unknown_name_is_told_in_a_sentence(told, expected):
    with using(told), pytest.raises(KernelError, match=VARIABLE) as error:
        rms_norm(X, WEIGHT, 1e-5)
    assert expected in str(error.value)


def test_what_cannot_compute_here_is_told_in_a_sentence(monkeypatch):
    with (
        using("triton"),
        pytest.raises(KernelError, match=r"cannot compute rms_norm here: .*float64; torch can"),
    ):
        rms_norm(X.double(), WEIGHT.double(), 1e-5)
    narrow = Op("rms_norm", (Signature(kernel="_forward", arguments={}, constants=()),), largest=4)
    with using("triton"):
        assert chosen(X, 4, narrow) == "in_triton"
        with pytest.raises(KernelError, match="rows of up to 4 numbers, not 8"):
            narrow.implementation(X, 8)
        with pytest.raises(KernelError, match="it has no Triton kernel"):
            Op("rope").implementation(X)
    if X.device.type == "cpu":
        monkeypatch.setattr(ops, "interpreted", lambda: False)
        triton_missing.cache_clear()
        with using("triton"), pytest.raises(KernelError, match="Triton computes on a GPU, and the numbers are on cpu"):
            rms_norm(X, WEIGHT, 1e-5)
        monkeypatch.setattr(ops.util, "find_spec", lambda name: None)
        triton_missing.cache_clear()
        with using("triton"), pytest.raises(KernelError, match=r"pip install 'evalharness\[triton\]'"):
            rms_norm(X, WEIGHT, 1e-5)
        triton_missing.cache_clear()


def test_it_is_told_which_implementation_computed():
    with using("reference"):
        rms_norm(X, WEIGHT, 1e-5)
    with using("torch"):
        rms_norm(X, WEIGHT, 1e-5)
    assert {"reference", "torch"} <= set(used()["rms_norm"])


def test_the_variable_may_hold_blanks(monkeypatch):
    monkeypatch.setenv(VARIABLE, " torch , rms_norm=triton,")
    assert told_kernels() == {"": "torch", "rms_norm": "triton"}


def test_nothing_is_imported_before_it_is_used():
    program = """
import sys, torch
from evalharness.stack.kernels.table import OPS, op
for name in OPS: op(name)
assert "triton" not in sys.modules
from evalharness.stack.kernels.rms_norm import rms_norm
rms_norm(torch.ones(2, 8), torch.ones(8), 1e-5)
loaded = [name for name in sys.modules if name.rpartition(".")[2] in ("reference", "in_torch", "in_triton")]
print(*sorted(name for name in loaded if ".kernels." in name), "triton" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told == ["evalharness.stack.kernels.rms_norm.in_torch", "False"]


def test_no_file_of_an_op_hides_a_package():
    """A submodule by the name of torch would replace torch in its package's own namespace."""
    root = Path(ops.__file__).parent
    assert not [path for path in root.rglob("*.py") if path.stem in ("torch", "triton")]
