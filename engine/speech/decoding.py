"""How likely each phone is at each moment, from what comes before and after it.

A forward-backward search over a loop of all phones. Likelihoods of Gaussian mixtures claim far
more than they know, so they are taken to a power below 1, and so is what the context network says.
"""

from __future__ import annotations

import numpy as np

from .hearing import STATES, AcousticModel

POWER = 0.15
CONTEXT_POWER = 0.3
NEW_PHONE_PRICE = 2.0  # a log probability
_LEAST = 1e-30


def phone_shares(
    model: AcousticModel, scores: np.ndarray, evidence: np.ndarray, bigram_weight: float
) -> np.ndarray:
    """(T, P) float32, rows adding up to 1.

    scores         (T, P, STATES), see AcousticModel.scores
    evidence       (T, P), see ContextNetwork.evidence
    bigram_weight  how much the order of English counts
    """
    if not len(scores):
        return np.zeros((0, len(model.phones)), np.float32)
    both = POWER * scores.astype(np.float64) + CONTEXT_POWER * evidence[:, :, None]
    likely = np.exp(both - both.max(axis=(1, 2), keepdims=True)) + _LEAST
    enter = np.exp(POWER * (bigram_weight * model.bigram - NEW_PHONE_PRICE)).astype(np.float64)
    stay, leave = np.exp(POWER * model.stay), np.exp(POWER * model.leave)
    forward = _forward(likely, enter, stay, leave)
    return _with_backward(forward, likely, enter, stay, leave)


def _forward(
    likely: np.ndarray, enter: np.ndarray, stay: np.ndarray, leave: np.ndarray
) -> np.ndarray:
    forward = np.empty_like(likely)
    state = np.zeros(likely.shape[1:])
    state[:, 0] = likely[0, :, 0]
    forward[0] = state = state / state.sum()
    for row in range(1, len(likely)):
        following = state * stay
        following[:, 1:] += state[:, :-1] * leave[:, :-1]
        following[:, 0] += (state[:, -1] * leave[:, -1]) @ enter
        following *= likely[row]
        forward[row] = state = following / following.sum()
    return forward


def _with_backward(
    forward: np.ndarray,
    likely: np.ndarray,
    enter: np.ndarray,
    stay: np.ndarray,
    leave: np.ndarray,
) -> np.ndarray:
    shares = np.empty(likely.shape[:2], np.float32)
    later = np.ones((likely.shape[1], STATES))
    for row in range(len(likely) - 1, -1, -1):
        both = forward[row] * later
        shares[row] = both.sum(axis=1) / both.sum()
        following = later * likely[row]
        later = following * stay
        later[:, :-1] += following[:, 1:] * leave[:, :-1]
        later[:, -1] += leave[:, -1] * (enter @ following[:, 0])
        later /= later.sum()
    return shares
