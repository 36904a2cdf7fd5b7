"""A win rate without what longer answers gain: a logistic model whose length term is then left out.

Dubois et al. 2024 (AlpacaEval 2, arXiv:2404.04475): of each pair a judge's preference p for the candidate in [0, 1] is
modelled as ``logit p = θ_length tanh(d / sd(d)) + θ_difficulty γ + θ_candidate``, with d the characters that the other
side's answer is longer by, sd(d) over the pairs (ddof 1) and γ the instruction's difficulty. The length-controlled win
rate is the mean over the pairs of ``sigmoid(θ_difficulty γ + θ_candidate)``: what the model says of answers of one
length.

Where this differs from the original: it fits with rows of two answers of the baseline itself that were told to be short
or long ("gamed" ones, of weight 0.1), which are not here, so that its term for rows that are not gamed is a plain
constant; it chooses an L1 penalty by cross-validation, and this has one small L2 penalty, with which the fit is a
smooth function of the pairs' counts; it takes the standard deviation of fitted probabilities for an error, which leaves
out how uncertain the fit is, and this refits in every resample.

Letters in names: N pairs, F terms of the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY = 0.01
"""λ of ``λ/2 |θ|²`` beside the sum of log losses: enough for a solution where one side wins every pair."""
WIDTH = 4
"""Parts of a pair: weight, weight x preference, weight x d, weight x γ."""
_STEPS = 50
_TOLERANCE = 1e-8
_CELLS = 1 << 21
"""Numbers of sums that are fitted at once: 16 MiB."""


def pair_parts(preference: float, longer: float, difficulty: float = 0.0) -> tuple[float, ...]:
    """What a pair brings to the model.

    Args:
        longer: characters of the other side's answer less those of the candidate's.
    """
    return (1.0, preference, longer, difficulty)


def spread(parts_NK: Floats) -> Floats:
    """The parts [N, 4] as rows [N, 4 N], each pair at a place of its own: sums of them still tell the pairs apart."""
    n, width = parts_NK.shape
    spread_NNK = np.zeros((n, n, width))
    spread_NNK[np.arange(n), np.arange(n)] = parts_NK
    return spread_NNK.reshape(n, n * width)


def length_controlled(sums: Floats) -> Floats:
    """Length-controlled win rates in [0, 1] from sums of spread parts, [..., 4 N]; the model is fitted for each.

    Not a number where there is no pair.
    """
    flat = np.atleast_2d(sums.reshape(-1, sums.shape[-1]))
    at_once = max(1, _CELLS // sums.shape[-1])
    found = [_controlled(flat[begin : begin + at_once]) for begin in range(0, len(flat), at_once)]
    return np.asarray(np.concatenate(found).reshape(sums.shape[:-1]))


def _controlled(sums_BK: Floats) -> Floats:
    weights_BN, preferences_BN, features_BNF = _rows(sums_BK)
    # Resamples of one set of pairs have much the same fit: begin where that of all of them together ends.
    whole = _rows(sums_BK.sum(0, keepdims=True))
    begin = fit(whole[2], whole[1], whole[0] / len(sums_BK))
    thetas_BF = fit(features_BNF, preferences_BN, weights_BN, begin=np.repeat(begin, len(sums_BK), axis=0))
    equal_BNF = features_BNF.copy()
    equal_BNF[..., 0] = 0.0
    shares_BN = _sigmoid(_logits(equal_BNF, thetas_BF))
    with np.errstate(invalid="ignore"):
        return np.asarray((weights_BN * shares_BN).sum(-1) / weights_BN.sum(-1))


def _rows(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights, preferences and terms of the pairs."""
    apart = sums.reshape(*sums.shape[:-1], -1, WIDTH)
    weights = apart[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        preferences, longer, difficulties = (
            np.where(weights > 0, apart[..., column] / weights, 0.0) for column in (1, 2, 3)
        )
        total = weights.sum(-1, keepdims=True)
        mean = (weights * longer).sum(-1, keepdims=True) / total
        deviation = np.sqrt((weights * (longer - mean) ** 2).sum(-1, keepdims=True) / (total - 1))
        scaled = np.where(deviation > 0, longer / deviation, 0.0)
    return weights, preferences, np.stack((np.tanh(scaled), difficulties, np.ones_like(longer)), axis=-1)


def fit(
    features: Floats, preferences: Floats, weights: Floats, *, penalty: float = PENALTY, begin: Floats | None = None
) -> Floats:
    """θ [..., F] that minimises ``Σ w (-p log s - (1 - p) log(1 - s)) + penalty/2 |θ|²`` with ``s = sigmoid(x θ)``.

    By Newton's method from `begin` (from 0 without it), with halved steps where a whole one does not help. Features are
    [..., N, F].
    """
    terms = features.shape[-1]
    thetas = np.zeros((*features.shape[:-2], terms)) if begin is None else begin
    losses = _losses(features, preferences, weights, thetas, penalty)
    ridge = penalty * np.eye(terms)
    for _ in range(_STEPS):
        shares = _sigmoid(_logits(features, thetas))
        slopes = ((weights * (shares - preferences))[..., None] * features).sum(-2) + penalty * thetas
        curved = (weights * shares * (1 - shares))[..., None] * features
        steps = np.linalg.solve(np.swapaxes(curved, -1, -2) @ features + ridge, slopes[..., None])[..., 0]
        scale = np.ones(losses.shape)
        for _ in range(_STEPS):
            moved = scale[..., None] * steps
            found = _losses(features, preferences, weights, thetas - moved, penalty)
            worse = ~(found <= losses + 1e-12 * np.abs(losses))
            if not worse.any():
                break
            scale = np.where(worse, scale / 2, scale)
        thetas, losses = thetas - moved, found
        if float(np.abs(moved).max(initial=0.0)) < _TOLERANCE:
            break
    return thetas


def _losses(features: Floats, preferences: Floats, weights: Floats, thetas: Floats, penalty: float) -> Floats:
    logits = _logits(features, thetas)
    losses = np.logaddexp(0.0, logits) - preferences * logits
    return np.asarray((weights * losses).sum(-1) + penalty / 2 * (thetas**2).sum(-1))


def _logits(features: Floats, thetas: Floats) -> Floats:
    return np.asarray((features @ thetas[..., None])[..., 0])


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
