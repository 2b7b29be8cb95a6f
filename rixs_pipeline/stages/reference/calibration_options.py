"""Options and reference lines of a calibration, from the config."""

from rixs_pipeline.config import CalibrationConfig, ReferenceSet
from rixs_pipeline.core.calibration.identification.hints import Hint, Hints
from rixs_pipeline.core.calibration.identification.line_identification import (
    ReferenceLine,
)
from rixs_pipeline.core.calibration.reference_run import CalibrationOptions
from rixs_pipeline.core.gain import CurveForm


def calibration_options(config: CalibrationConfig) -> CalibrationOptions:
    """Return the options of a calibration that the config sets."""
    hints = {
        key: tuple(Hint(height, line) for height, line in sorted(peaks.items()))
        for key, peaks in config.hints.items()
    }
    by_pixel = {key: peaks for key, peaks in hints.items() if isinstance(key, int)}
    return CalibrationOptions(
        line_names=config.lines,
        curve_form=CurveForm(config.curve),
        correct_phase=config.phase,
        correct_drift=config.drift,
        cut_width=config.residual_cut,
        min_line_counts=config.min_line_counts,
        hold_off=None if config.hold_off == "auto" else config.hold_off,
        hints=Hints(hints.get("all", ()), by_pixel),
    )


def reference_lines(reference: ReferenceSet) -> list[ReferenceLine]:
    """Return the lines of a reference set."""
    return [
        ReferenceLine(
            name=name,
            energy=line.energy,
            uncertainty=line.uncertainty,
            shape=line.shape,
            sigma=line.sigma,
            is_satellite=line.satellite_of is not None,
        )
        for name, line in reference.lines.items()
    ]
