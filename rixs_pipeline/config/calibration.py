"""Options of the calibration, and the reference lines that it uses."""

import json
from typing import Literal

from pydantic import Field

from rixs_pipeline.config.base import Model

CurveName = Literal["physical", "gain", "loglog"]

# attributes of every product that state its energy scale
REFERENCE_ATTRIBUTES = ("reference_set", "reference_source", "reference_variants")


class CalibrationConfig(Model):
    """How pulse heights are converted to energies."""

    reference: str = Field(
        "srd128",
        description="name of a set in configs/references, or path of a .yaml file "
        "of the same form",
    )
    variants: str | dict[str, str] = Field(
        {},
        description="line -> variant (chemical state) in the set, such as "
        "{Fe_La: oxide}; or one variant for all lines that have it",
    )
    lines: tuple[str, ...] | None = Field(
        None,
        min_length=3,
        description="lines that the reference sample emits; default: identified "
        "in the spectra",
    )
    curve: CurveName = Field(
        "physical",
        description="form of the gain curve: physical (a sensor that saturates), "
        "gain (cubic in energy / pulse height) or loglog (cubic in log-log)",
    )
    drift: bool = Field(
        True,
        description="correct the pulse height for the drift of pretriggerMean, "
        "where the data support it",
    )
    phase: bool = Field(
        True,
        description="correct the pulse height for the arrival phase, where the data "
        "support it",
    )
    align: bool = Field(
        True,
        description="align the pixels of a scan with each other by the emission of "
        "the sample, where the data support it",
    )
    residual_cut: float = Field(
        6.0,
        gt=0,
        description="largest deviation of residualStdDev of a pulse that is used, "
        "in robust standard deviations",
    )
    min_line_counts: int = Field(
        30, ge=5, description="a pixel does not use a line with fewer counts"
    )


class ReferenceLine(Model):
    """An emission line: the energy of its maximum with its uncertainty, and its shape.

    The shape is the line as the sample emits it, before the resolution of the
    detector: Lorentzians, (offset from `energy` eV, full width at half maximum eV,
    share of the area), convolved with a Gaussian of standard deviation `sigma` eV.
    """

    energy: float = Field(
        gt=0, description="position of the maximum at 1 eV FWHM resolution, eV"
    )
    uncertainty: float = Field(gt=0, description="one standard deviation, eV")
    source: str
    variant: str = Field(
        "", description="chemical state, such as metal or oxide; empty: not stated"
    )
    shape: tuple[tuple[float, float, float], ...] = Field(min_length=1)
    sigma: float = Field(
        0.0, ge=0, description="Gaussian part of the emitted shape, eV"
    )
    satellite_of: str | None = Field(
        None, description="line whose shape includes this line; never fitted alone"
    )


class ReferenceSet(Model):
    """A named set of reference lines, which defines the energy scale of products."""

    name: str
    source: str
    lines: dict[str, ReferenceLine] = Field(min_length=3)
    variants: dict[str, str] = Field(
        {}, description="line -> variant, for lines in another state than the default"
    )

    def attributes(self) -> dict[str, str]:
        """Return the attributes of products that state the energy scale."""
        values = (self.name, self.source, json.dumps(self.variants))
        return dict(zip(REFERENCE_ATTRIBUTES, values, strict=True))
