"""Gain curves of the pixels: a form, and what the reference lines show beyond it."""

from rixs_pipeline.core.gain.curves import (
    MIN_LINES,
    GainCurves,
    LinePositions,
    SplineCurves,
    fit_gain_curves,
    fit_splines,
    left_out_residuals,
    remainder_covariance,
    spline_covariance,
)
from rixs_pipeline.core.gain.forms import FORMS, CurveForm

__all__ = [
    "FORMS",
    "MIN_LINES",
    "CurveForm",
    "GainCurves",
    "LinePositions",
    "SplineCurves",
    "fit_gain_curves",
    "fit_splines",
    "left_out_residuals",
    "remainder_covariance",
    "spline_covariance",
]
