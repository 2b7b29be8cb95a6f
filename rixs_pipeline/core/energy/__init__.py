"""The energy function of a pixel: pulse height to emission energy, with corrections."""

from rixs_pipeline.core.energy.function import (
    CorrectionDerivatives,
    corrected_pulse_height,
    correction_derivatives,
    curve_covariance,
    curve_energy,
    curve_height,
    drift_basis,
    energy,
    energy_at_any_time,
    interpolated_energy,
    later_calibration_share,
    spline_fit_matrix,
)

__all__ = [
    "CorrectionDerivatives",
    "corrected_pulse_height",
    "correction_derivatives",
    "curve_covariance",
    "curve_energy",
    "curve_height",
    "drift_basis",
    "energy",
    "energy_at_any_time",
    "interpolated_energy",
    "later_calibration_share",
    "spline_fit_matrix",
]
