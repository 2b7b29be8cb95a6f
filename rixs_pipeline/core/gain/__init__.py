"""Gain curves of the pixels: a form, and what the reference lines show beyond it."""

from rixs_pipeline.core.gain.curve_statistics import (
    CurveMisfits,
    curve_misfits,
    left_out_residuals,
    spline_covariance,
)
from rixs_pipeline.core.gain.curves import (
    MIN_LINES,
    GainCurves,
    LinePositions,
    SplineCurves,
    fit_gain_curves,
    fit_splines,
    remainder_covariance,
)
from rixs_pipeline.core.gain.energy_range import SOFT_RANGE, EnergyRange
from rixs_pipeline.core.gain.forms import FORMS, CurveForm

__all__ = [
    "FORMS",
    "MIN_LINES",
    "SOFT_RANGE",
    "CurveForm",
    "CurveMisfits",
    "EnergyRange",
    "GainCurves",
    "LinePositions",
    "SplineCurves",
    "curve_misfits",
    "fit_gain_curves",
    "fit_splines",
    "left_out_residuals",
    "remainder_covariance",
    "spline_covariance",
]
