"""Each form is its formula, and its gradient that of its logarithm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scaling.planted import PLANTED, chinchilla_loss, run

from evalharness.scaling.chinchilla import Chinchilla
from evalharness.scaling.forms import Center, Form
from evalharness.scaling.kaplan import KaplanJoint, PowerLaw
from evalharness.scaling.known import FORMS
from evalharness.scaling.points import Logs

LOGS = Logs.of([run(1e6, 3e7, 5.0), run(2e7, 1e8, 4.0), run(5e6, 4e9, 3.0)])
CENTER = Center.of(LOGS)


def test_chinchilla_is_its_formula() -> None:
    a, b = (math.log(PLANTED[name]) for name in "AB")
    theta = np.array(
        [
            math.log(PLANTED["E"]),
            a - PLANTED["alpha"] * CENTER.parameters,
            b - PLANTED["beta"] * CENTER.tokens,
            PLANTED["alpha"],
            PLANTED["beta"],
        ]
    )
    found = np.exp(Chinchilla().log_loss(theta, CENTER.sizes(LOGS)))
    assert found == pytest.approx([chinchilla_loss(1e6, 3e7), chinchilla_loss(2e7, 1e8), chinchilla_loss(5e6, 4e9)])
    assert Chinchilla().published(theta, CENTER) == pytest.approx(PLANTED)


def test_kaplan_is_its_formula() -> None:
    alpha_n, alpha_d, n_c, d_c = 0.076, 0.103, 6.4e13, 1.8e13  # Kaplan et al. 2020, table 2
    theta = np.array(
        [
            alpha_n * (math.log(n_c) - CENTER.parameters),
            alpha_d * (math.log(d_c) - CENTER.tokens),
            alpha_n,
            alpha_d,
        ]
    )
    wanted = [((n_c / n) ** (alpha_n / alpha_d) + d_c / d) ** alpha_d for n, d in ((1e6, 3e7), (2e7, 1e8), (5e6, 4e9))]
    assert np.exp(KaplanJoint().log_loss(theta, CENTER.sizes(LOGS))) == pytest.approx(wanted)
    assert KaplanJoint().published(theta, CENTER) == pytest.approx(
        {"N_c": n_c, "D_c": d_c, "alpha_N": alpha_n, "alpha_D": alpha_d}
    )


def test_a_power_law_is_its_formula() -> None:
    alpha, c_c = 0.05, 3.1e8
    theta = np.array([alpha * (math.log(c_c) - CENTER.compute), alpha])
    law = PowerLaw("compute")
    wanted = [(c_c / (6 * n * d)) ** alpha for n, d in ((1e6, 3e7), (2e7, 1e8), (5e6, 4e9))]
    assert np.exp(law.log_loss(theta, CENTER.sizes(LOGS))) == pytest.approx(wanted)
    assert law.published(theta, CENTER) == pytest.approx({"C_c": c_c, "alpha_C": alpha})


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_gradient_is_that_of_differences(form: Form) -> None:
    sizes = CENTER.sizes(LOGS)
    theta = np.linspace(0.3, 0.7, len(form.symbols))
    step = 1e-6
    for place in range(len(theta)):
        more, less = theta.copy(), theta.copy()
        more[place] += step
        less[place] -= step
        slope = (form.log_loss(more, sizes) - form.log_loss(less, sizes)) / (2 * step)
        assert form.gradient(theta, sizes)[:, place] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_several_sets_of_parameters_are_each_their_own(form: Form) -> None:
    sizes = CENTER.sizes(LOGS)
    thetas = np.stack([np.linspace(0.3, 0.7, len(form.symbols)), np.linspace(0.2, 0.9, len(form.symbols))])
    together = form.log_loss(thetas, sizes)
    assert together == pytest.approx(np.stack([form.log_loss(theta, sizes) for theta in thetas]))
