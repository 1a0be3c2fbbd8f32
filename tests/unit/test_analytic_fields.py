"""Geometry under the analytic renderer: curves, fills, interpolation, inversion."""

from __future__ import annotations

import cv2
import numpy as np

from engine.analytic.deformers import deformers
from engine.analytic.field import invert_field, without_folds
from engine.analytic.rbf import MultiquadricInterpolator, solve_both
from engine.analytic.shapes import curve, filled
from engine.faces.canonical import MESH_COUNT, MIRROR


def test_a_curve_passes_through_its_points():
    points = np.random.default_rng(2).normal(0.0, 10.0, (9, 2))
    assert np.allclose(curve(points)[::4], points)
    line = np.stack([np.linspace(0, 8, 9), np.linspace(0, 4, 9)], axis=1)
    assert np.allclose(np.diff(curve(line), axis=0), [0.25, 0.125])


def test_fill_has_the_area_of_its_outline():
    square = np.array([[10.25, 10.0], [30.25, 10.0], [30.25, 20.0], [10.25, 20.0]])
    # OpenCV counts the outline itself in: up to a pixel more in width and height.
    assert 20 * 10 <= filled(square, (48, 32)).sum() <= 22 * 12


def test_interpolation_gives_the_known_values_back():
    rng = np.random.default_rng(3)
    points, values = rng.uniform(0, 100, (40, 2)), rng.normal(0, 5, (40, 3))
    exact = MultiquadricInterpolator(points, values, softness=2.0, smoothing=0.0)
    assert np.allclose(exact(points), values, atol=2e-2, rtol=0)


def test_two_fits_that_share_points_are_what_each_is_alone():
    rng = np.random.default_rng(4)
    half = rng.normal(0, 1, (30, 30))
    system, right = half + half.T, rng.normal(0, 1, (30, 4))
    left_out = np.array([2, 3, 11]), np.array([5, 28])
    for solved, missing in zip(solve_both(system, right, left_out), left_out, strict=True):
        kept = np.setdiff1d(np.arange(30), missing)
        assert np.allclose(solved[kept], np.linalg.solve(system[np.ix_(kept, kept)], right[kept]))
        assert not solved[missing].any()


def test_inversion_undoes_a_field():
    y, x = np.mgrid[0:60, 0:60].astype(np.float32)
    bump = np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / (2 * 9.0**2)).astype(np.float32)
    forward = np.dstack([3.0 * bump, -4.0 * bump])
    backward = invert_field(forward)
    landed = cv2.remap(forward, x + backward[..., 0], y + backward[..., 1], cv2.INTER_LINEAR)
    assert np.abs(landed + backward)[5:-5, 5:-5].max() < 0.05


def test_folds_are_smoothed_and_calm_fields_kept():
    x = np.mgrid[0:60, 0:60][1].astype(np.float32)
    calm = np.dstack([np.sin(x / 20), np.zeros_like(x)]).astype(np.float32)
    assert (without_folds(calm, 3.0) == calm).all()
    steep = np.dstack([-30.0 * np.tanh((x - 30) / 2), np.zeros_like(x)]).astype(np.float32)
    smoothed = without_folds(steep, 3.0)
    assert np.diff(smoothed[..., 0], axis=1).min() > 0.7 * np.diff(steep[..., 0], axis=1).min()


def test_deformers_are_symmetric():
    mirror, flip = MIRROR[:MESH_COUNT], np.array([-1.0, 1.0, 1.0])
    for name, offsets in deformers().items():
        assert offsets.shape == (MESH_COUNT, 3)
        assert np.isfinite(offsets).all()
        twin = name.replace("left", "#").replace("right", "left").replace("#", "right")
        # What goes sideways goes to the other side in a mirror.
        sign = -1.0 if name in ("shift", "jaw_x") else 1.0
        assert np.abs(deformers()[twin][mirror] * flip - sign * offsets).max() < 0.12, name
