"""Peaks by name, and a measurement that keeps to its time."""

from __future__ import annotations

import itertools
import time

import pytest
import torch

from evalharness.stack.training import peaks
from evalharness.stack.training.peaks import machine_peak, measured_peak, published_peak

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100-PCIE-40GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L40", None),
        ("NVIDIA RTX A4000", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
    ],
)
def test_known_devices(name: str, peak: float | None) -> None:
    assert published_peak(name) == peak


def test_a_known_gpu_has_its_published_peak_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    peak = machine_peak(torch.device("cuda"), torch.bfloat16)
    assert peak.operations_per_second == 989e12
    assert peak.meaning == "dense bf16 peak of NVIDIA H200 by its data sheet"


def test_a_processors_peak_is_measured() -> None:
    peak = machine_peak(CPU, torch.float32)
    a = torch.rand(64, 64)
    began = time.perf_counter()
    for _ in range(100):
        a @ a
    small = 100 * 2 * 64**3 / (time.perf_counter() - began)
    # Large products are faster than small ones; by how much is not the point.
    assert peak.operations_per_second > small / 2
    assert peak.meaning.startswith("fastest product of ")
    assert "matrices in float32 measured on this machine, 1 threads" in peak.meaning


def test_a_measurement_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which every look at it takes 10 ms."""
    clock = itertools.count(0, 0.01)
    looks: list[float] = []

    def look() -> float:
        looks.append(next(clock))
        return looks[-1]

    monkeypatch.setattr(peaks.time, "perf_counter", look)
    peak = measured_peak(CPU, torch.float32, seconds=0.5)
    # The last try began before the end.
    assert 0.5 <= looks[-1] < 0.6
    assert peak.operations_per_second == pytest.approx(2 * 512**3 / 0.01, rel=1e-6)
