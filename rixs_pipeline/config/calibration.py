"""Options of the calibration, and the reference lines that it uses."""

import json
from typing import Literal

from pydantic import Field

from rixs_pipeline.config.base import Model, PulseTime

CurveName = Literal["physical", "gain", "loglog"]

# attributes of every product that state its energy scale
REFERENCE_ATTRIBUTES = ("reference_set", "reference_source", "reference_variants")


class HiddenDriftConfig(Model):
    """Drift that all pixels share and the baseline does not show."""

    size: float = Field(ge=0, le=10, description="rms at 851 eV, eV")
    period: float = Field(
        ge=60, description="time in which it swings up and down again, s"
    )


class CalibrationConfig(Model):
    """How pulse heights are converted to energies."""

    reference: str = Field(
        "srd128",
        description="reference set: its name in configs/references, or the path "
        "of a .yaml file of the same form",
    )
    variants: str | dict[str, str] = Field(
        {},
        description="line -> variant (chemical state) in the reference set, such "
        "as {Fe_La: oxide}; or one variant for all lines that have it",
    )
    lines: tuple[str, ...] | None = Field(
        None,
        min_length=3,
        description="emission lines of the reference sample; default: identified "
        "in the spectra",
    )
    hints: dict[Literal["all"] | int, dict[float, str]] = Field(
        {},
        description="pixel, or all -> {pulse height of a peak: its line}, such as "
        "{all: {12340: O_Ka, 17550: Ni_La}}; helps where the lines cannot be "
        "identified. The peak nearest to the pulse height, within 3 %, is that line",
    )
    curve: CurveName = Field(
        "physical",
        description="form of the gain curve: physical (saturating sensor), gain "
        "(cubic in energy / pulse height) or loglog (cubic in log-log)",
    )
    drift: bool = Field(
        True,
        description="correct the pulse height for gain drift that correlates with "
        "the pretrigger mean (`pretriggerMean`), if the data support it",
    )
    phase: bool = Field(
        True,
        description="correct the pulse height for the arrival phase, if the data "
        "support it",
    )
    align: bool = Field(
        True,
        description="align the energy scales of the pixels of a scan by the "
        "emission of the sample, if the data support it",
    )
    displaced_pixels: Literal["exclude", "report", "keep"] = Field(
        "exclude",
        description="pixels that stand 3 eV or more off the other pixels in a scan or "
        "a part of it: exclude (left out of the scan), report (reported only) or keep "
        "(not looked for)",
    )
    baseline_jumps: bool = Field(
        True,
        description="no exposure of a pixel while its baseline is away after a jump",
    )
    scan_drift: Literal["auto", "off"] = Field(
        "auto",
        description="drift that the pixels of scans have in common: auto (corrected by "
        "what keeps the lines of each sample at one place) or off (the error of the "
        "energy scale includes it)",
    )
    hidden_drift: Literal["auto", 0] | HiddenDriftConfig = Field(
        "auto",
        description="drift that all pixels share and the pretrigger mean does not "
        "show: auto (its size is learned from reference runs and scans), {size: EV, "
        "period: S} (known: rms at 851 eV, and s) or 0 (there is none)",
    )
    residual_cut: float = Field(
        6.0,
        gt=0,
        description="largest accepted deviation of a pulse's `residualStdDev`, in "
        "robust standard deviations",
    )
    hold_off: PulseTime = Field(
        "auto",
        description="pulses that follow the previous one within this time are not "
        "used, s; auto: measured in each reference run; 0: all are used",
    )
    min_line_counts: int = Field(
        30,
        ge=5,
        description="minimum counts of a line in a pixel; a line with fewer "
        "counts is not used in the calibration of this pixel",
    )


class ReferenceLine(Model):
    """An emission line: the energy of its maximum with its uncertainty, and its shape.

    The shape is the line as the sample emits it, before the resolution of the
    detector: Lorentzians, (offset from `energy` eV, full width at half maximum eV,
    share of the area), convolved with a Gaussian of standard deviation `sigma` eV.
    """

    energy: float = Field(
        gt=0, description="position of the maximum at a resolution of 1 eV FWHM, eV"
    )
    uncertainty: float = Field(gt=0, description="standard deviation of the energy, eV")
    source: str
    variant: str = Field(
        "", description="chemical state, such as metal or oxide; empty: unspecified"
    )
    shape: tuple[tuple[float, float, float], ...] = Field(min_length=1)
    sigma: float = Field(
        0.0,
        ge=0,
        description="standard deviation of the Gaussian part of the emitted shape, eV",
    )
    satellite_of: str | None = Field(
        None,
        description="line whose shape includes this line, which is then not "
        "fitted separately",
    )


class ReferenceSet(Model):
    """A named set of reference lines, which defines the energy scale of products."""

    name: str
    source: str
    lines: dict[str, ReferenceLine] = Field(min_length=3)
    variants: dict[str, str] = Field(
        {},
        description="line -> variant, for lines in a chemical state other than "
        "the default",
    )

    def attributes(self) -> dict[str, str]:
        """Return the attributes of products that state the energy scale."""
        values = (self.name, self.source, json.dumps(self.variants))
        return dict(zip(REFERENCE_ATTRIBUTES, values, strict=True))
