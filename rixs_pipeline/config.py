"""The config: what changes results, apart from how the work is executed (`Execution`, never part of a hash).

Every model is frozen and refuses unknown keys. A config file names only what differs from the defaults.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EDGES = ("C_K", "N_K", "O_K", "Ti_L", "V_L", "Cr_L", "Mn_L", "Fe_L", "Co_L", "Ni_L", "Cu_L", "Zn_L")
Edge = Literal["C_K", "N_K", "O_K", "Ti_L", "V_L", "Cr_L", "Mn_L", "Fe_L", "Co_L", "Ni_L", "Cu_L", "Zn_L"]
Limits = Annotated[tuple[float, float], Field(description="[low, high] in eV, low < high")]
RegionName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Model(BaseModel):
    """Base of all parts of the config: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _limits_ascend(self) -> "Model":
        """Refuse `[high, low]`: it selects nothing and is always a slip."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            is_limits = "[low, high]" in (field.description or "") and isinstance(value, tuple)
            if is_limits and not value[0] < value[1]:
                raise ValueError(f"{name}: {list(value)} must be [low, high] with low < high")
        return self


class ScanCorrection(Model):
    """What the log of one scan says wrongly or not at all."""

    sample: str | None = None
    edge: Edge | None = None
    readings: str | None = Field(None, description="the SSRL ASCII file that holds the readings of this scan")


class Exclusions(Model):
    """What is left out, on the user's word."""

    scans: tuple[int | str, ...] = ()
    pixels: tuple[int, ...] = ()
    points: dict[int | str, tuple[int, ...]] = {}


class BeamtimeConfig(Model):
    """Corrections to what the logs say."""

    samples: dict[str, str] = Field({}, description="sample name in the log -> name to use")
    scans: dict[int | str, ScanCorrection] = {}
    exclude: Exclusions = Exclusions()


class CalibrationConfig(Model):
    """How pulse heights become energies."""

    reference: str = Field("srd128", description="name of a set in configs/references, or the path of a file like them")
    lines: tuple[str, ...] | None = Field(
        None, min_length=3, description="lines present in the reference sample; default: found"
    )
    drift: bool = Field(True, description="correct the pulse height against pretriggerMean where the data support it")
    phase: bool = Field(True, description="correct the pulse height against the arrival phase where data support it")
    residual_cut: float = Field(6.0, gt=0, description="robust standard deviations of residualStdDev that are kept")
    min_line_counts: int = Field(30, ge=5, description="fewer counts in a line: the line is not used in that pixel")


class MapConfig(Model):
    """The bins of the maps."""

    emission: tuple[float, float] = Field((200.0, 1100.0), description="[low, high] of emission energy, eV")
    step: float = Field(0.5, gt=0, description="width of the emission bins, eV")
    incident: tuple[float, float] | None = Field(
        None, description="[low, high] of explicit incident bins, eV; default: the scan points themselves"
    )
    incident_step: float | None = Field(None, gt=0, description="width of the explicit incident bins, eV")
    elastic_offset: Literal["report", "apply"] = Field(
        "report", description="offset of the elastic line: only reported, or added to the incident energies too"
    )
    best_pixels: dict[Edge, Annotated[int, Field(ge=1)]] = Field(
        {}, description="edge -> how many pixels, those of best resolution; default: all that are ok"
    )

    @model_validator(mode="after")
    def _whole_bins(self) -> "MapConfig":
        """The emission range must hold a whole number of bins; explicit incident bins need both keys."""
        number = (self.emission[1] - self.emission[0]) / self.step
        if abs(number - round(number)) > 1e-6:
            raise ValueError(f"emission: {list(self.emission)} does not hold a whole number of bins of {self.step} eV")
        if (self.incident is None) != (self.incident_step is None):
            raise ValueError("incident and incident_step go together: explicit incident bins need both")
        return self


class NormaliseConfig(Model):
    """What counts are divided by."""

    i0: str | None = Field("i0", description="channel of the log with the incident flux; null: live time alone")
    i0_offset: float = Field(0.0, description="dark offset of that channel, subtracted first")
    beam_off_below: float = Field(
        0.1, ge=0, lt=1, description="a point whose I0 is below this share of the scan's 0.9 quantile has no beam"
    )
    throughput: bool = Field(True, description="weight pixels by their throughput, so that a lost pixel moves nothing")


class Region(Model):
    """A region of interest of the map and what is made of it. Limits that are not given do not limit."""

    kind: Literal["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]
    edge: Edge | None = Field(None, description="only for maps of this edge; default: all")
    emission: tuple[float, float] | None = Field(None, description="[low, high] of emission energy, eV")
    incident: tuple[float, float] | None = Field(None, description="[low, high] of incident energy, eV")
    loss: tuple[float, float] | None = Field(None, description="[low, high] of incident - emission, eV")
    polygon: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=3, description="[incident, emission] corners, eV"
    )
    exclude_elastic: float | None = Field(None, gt=0, description="half width around the elastic line left out, eV")
    background: None = None
    scale: Literal["none", "max", "area"] | tuple[float, float] = Field(
        "none", description="none, max, area, or a window [low, high] in eV: what the spectrum is divided by"
    )


class Comparison(Model):
    """Samples whose spectra of one region are overlaid."""

    samples: tuple[str, ...] = Field(min_length=2)
    regions: tuple[str, ...] | None = Field(None, description="default: every region that the samples share")


class ExecutionConfig(Model):
    """How the work is done: never part of a hash, never changes a count."""

    scheduler: str = Field("threads", pattern=r"^(serial|threads|processes|slurm|tcp://.+)$")
    workers: int | None = Field(None, ge=1, description="default: the cores of the machine")
    memory: str = Field("1GB", pattern=r"^\d+(\.\d+)? ?(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$")


class ReferenceLine(Model):
    """One emission line: where its maximum stands, how well that is known, and its shape.

    `shape`: Lorentzian components (offset from `energy` eV, full width at half maximum eV, share of the area),
    convolved with a Gaussian of standard deviation `sigma` eV: as the line leaves the sample, before the detector's
    resolution.
    """

    energy: float = Field(gt=0, description="position of the maximum at 1 eV FWHM resolution, eV")
    uncertainty: float = Field(gt=0, description="one standard deviation, eV")
    source: str
    shape: tuple[tuple[float, float, float], ...] = Field(min_length=1)
    sigma: float = Field(0.0, ge=0, description="Gaussian part of the emitted shape, eV")
    satellite_of: str | None = Field(None, description="this line is part of that line's shape; never fitted alone")


class ReferenceSet(Model):
    """A named set of reference lines: the energy scale of everything that was calibrated with it."""

    name: str
    source: str
    lines: dict[str, ReferenceLine] = Field(min_length=3)


class Config(Model):
    """The whole config of one reduction."""

    beamtime: BeamtimeConfig = BeamtimeConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    map: MapConfig = MapConfig()
    normalise: NormaliseConfig = NormaliseConfig()
    regions: dict[RegionName, Region] | None = Field(None, description="default: the presets of the edges found")
    compare: dict[str, Comparison] = {}
    execution: ExecutionConfig = ExecutionConfig()

    def science(self, *sections: str) -> dict[str, Any]:
        """The named sections as plain JSON values: what a product's config hash is made of."""
        return {name: self.model_dump(mode="json")[name] for name in sections}
