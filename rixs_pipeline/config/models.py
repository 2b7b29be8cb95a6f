"""The config: what changes results, apart from how the work is executed (`Execution`, never part of a hash).

Every model is frozen and refuses unknown keys. A config file names only what differs from the defaults.
"""

import json
from itertools import pairwise
from math import radians, sin
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rixs_pipeline.types import Edge

CurveName = Literal["physical", "gain", "loglog"]
REFERENCE_ATTRIBUTES = (
    "reference_set",
    "reference_source",
    "reference_variants",
)  # of every product
Limits = Annotated[
    tuple[float, float], Field(description="[low, high] in eV, low < high")
]
RegionName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Model(BaseModel):
    """Base of all parts of the config: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _limits_ascend(self) -> "Model":
        """Refuse `[high, low]`: it selects nothing and is always a slip."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            is_limits = "[low, high]" in (field.description or "") and isinstance(
                value, tuple
            )
            if is_limits and not value[0] < value[1]:
                raise ValueError(
                    f"{name}: {list(value)} must be [low, high] with low < high"
                )
        return self


class ScanCorrection(Model):
    """What the log of one scan says wrongly or not at all."""

    sample: str | None = None
    edge: Edge | None = None
    readings: str | None = Field(
        None, description="the SSRL ASCII file that holds the readings of this scan"
    )


class Exclusions(Model):
    """What is left out, on the user's word."""

    scans: tuple[int | str, ...] = ()
    pixels: tuple[int, ...] = ()
    points: dict[int | str, tuple[int, ...]] = {}


class BeamtimeConfig(Model):
    """Corrections to what the logs say."""

    samples: dict[str, str] = Field(
        {}, description="sample name in the log -> name to use"
    )
    scans: dict[int | str, ScanCorrection] = {}
    exclude: Exclusions = Exclusions()


class CalibrationConfig(Model):
    """How pulse heights become energies."""

    reference: str = Field(
        "srd128",
        description="name of a set in configs/references, or the path of a file like them",
    )
    variants: str | dict[str, str] = Field(
        {},
        description="line -> variant of the set, e.g. {Fe_La: oxide}; or one word for all lines that have it",
    )
    lines: tuple[str, ...] | None = Field(
        None,
        min_length=3,
        description="lines present in the reference sample; default: found",
    )
    curve: CurveName = Field(
        "physical",
        description="form of the gain curves: a sensor that saturates, or a cubic in E / pulse height or in log-log",
    )
    drift: bool = Field(
        True,
        description="correct the pulse height against pretriggerMean where the data support it",
    )
    phase: bool = Field(
        True,
        description="correct the pulse height against the arrival phase where data support it",
    )
    align: bool = Field(
        True,
        description="align a scan's pixels with each other by the sample's emission where the data support it",
    )
    residual_cut: float = Field(
        6.0,
        gt=0,
        description="robust standard deviations of residualStdDev that are kept",
    )
    min_line_counts: int = Field(
        30,
        ge=5,
        description="fewer counts in a line: the line is not used in that pixel",
    )


class MapConfig(Model):
    """The bins of the maps."""

    emission: tuple[float, float] = Field(
        (200.0, 1100.0), description="[low, high] of emission energy, eV"
    )
    step: float = Field(0.5, gt=0, description="width of the emission bins, eV")
    incident: tuple[float, float] | None = Field(
        None,
        description="[low, high] of explicit incident bins, eV; default: the scan points themselves",
    )
    incident_step: float | None = Field(
        None, gt=0, description="width of the explicit incident bins, eV"
    )
    elastic_offset: Literal["report", "apply"] = Field(
        "report",
        description="offset of the elastic line: only reported, or added to the incident energies too",
    )
    best_pixels: dict[Edge, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="edge -> how many pixels, those of best resolution; default: all that are ok",
    )
    keep_photons: bool = Field(
        False,
        description="keep the calibrated photons of each scan (photons/*.h5): other bins then need no pulses",
    )

    @model_validator(mode="after")
    def _whole_bins(self) -> "MapConfig":
        """The emission range must hold a whole number of bins; explicit incident bins need both keys."""
        number = (self.emission[1] - self.emission[0]) / self.step
        if abs(number - round(number)) > 1e-6:
            raise ValueError(
                f"emission: {list(self.emission)} does not hold a whole number of bins of {self.step} eV"
            )
        if (self.incident is None) != (self.incident_step is None):
            raise ValueError(
                "incident and incident_step go together: explicit incident bins need both"
            )
        return self


class NormaliseConfig(Model):
    """What counts are divided by."""

    i0: str | None = Field(
        "i0",
        description="channel of the log with the incident flux; null: live time alone",
    )
    i0_offset: float = Field(
        0.0, description="dark offset of that channel, subtracted first"
    )
    beam_off_below: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="a point whose I0 is below this share of the scan's 0.9 quantile has no beam",
    )
    throughput: bool = Field(
        True,
        description="weight pixels by their throughput, so that a lost pixel moves nothing",
    )
    i0_noise: Annotated[float, Field(ge=0, lt=1)] | Literal["poisson"] | None = Field(
        None,
        description="one standard deviation of I0 at a point, relative; poisson: the channel is a count",
    )
    efficiency: tuple[tuple[float, float], ...] = Field(
        (),
        description="[emission energy in eV, efficiency of detector and windows], straight lines between",
    )

    @model_validator(mode="after")
    def _efficiency_is_a_table(self) -> "NormaliseConfig":
        """Energies must ascend and efficiencies be positive: spectra are divided by them."""
        energies = [energy for energy, _ in self.efficiency]
        if any(low >= high for low, high in pairwise(energies)) or any(
            value <= 0 for _, value in self.efficiency
        ):
            raise ValueError(
                "efficiency: pairs [energy, efficiency] with ascending energies, efficiencies above 0"
            )
        return self


class GeometryConfig(Model):
    """How the sample stands in the beam: what self-absorption depends on."""

    incidence: float = Field(
        45.0, gt=0, le=90, description="angle between beam and sample surface, degrees"
    )
    takeoff: float = Field(
        45.0,
        gt=0,
        le=90,
        description="angle between detector and sample surface, degrees",
    )

    @property
    def factor(self) -> float:
        """g = sin(incidence) / sin(takeoff): Achkar et al., PRB 83, 081106 (2011)."""
        return sin(radians(self.incidence)) / sin(radians(self.takeoff))


class PreEdge(Model):
    """What is there before the edge, and goes on under it."""

    kind: Literal["constant", "linear"]
    incident: tuple[float, float] | None = Field(
        None, description="[low, high] of the fit, eV; default: by the edge"
    )


class Sideband(Model):
    """What stands beside the region in emission, and goes on under it."""

    kind: Literal["sideband"]
    emission: tuple[tuple[float, float], ...] = Field(
        min_length=1,
        max_length=2,
        description="one window (low, high), eV: flat; two: a straight line between them",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_window_is_a_list_of_one(cls, values: Any) -> Any:
        window = values.get("emission") if isinstance(values, dict) else None
        if isinstance(window, list | tuple) and all(
            isinstance(each, int | float) for each in window
        ):
            return values | {"emission": [window]}
        return values

    @model_validator(mode="after")
    def _windows_ascend(self) -> "Sideband":
        for low, high in self.emission:
            if not low < high:
                raise ValueError(
                    f"emission: [{low}, {high}] must be [low, high] with low < high"
                )
        return self


class Blank(Model):
    """What a sample without the substance shows in the same region."""

    kind: Literal["blank"]
    sample: str
    factor: float = Field(
        1.0, gt=0, description="the blank's intensity is multiplied by it"
    )


class Leak(Model):
    """What the low-energy tails of lines above the region, the elastic line among them, put into it."""

    kind: Literal["leak"]
    tail_fraction: float | None = Field(
        None,
        gt=0,
        lt=0.5,
        description="share of a line in its tail; default: the used pixels' in the reference runs",
    )
    tail_fraction_errors: float | None = Field(
        None, ge=0, description="one standard deviation of it; default: so too"
    )
    tail_length: float | None = Field(
        None, gt=0, description="decay length of the tail, eV; default: so too"
    )


Background = Annotated[PreEdge | Sideband | Blank | Leak, Field(discriminator="kind")]
Kind = Literal["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]


class Piece(Model):
    """A part of a region. All its limits hold at once; those that are not given do not limit."""

    emission: tuple[float, float] | None = Field(
        None, description="[low, high] of emission energy, eV"
    )
    incident: tuple[float, float] | None = Field(
        None, description="[low, high] of incident energy, eV"
    )
    loss: tuple[float, float] | None = Field(
        None, description="[low, high] of incident - emission, eV"
    )
    polygon: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=3, description="[incident, emission] corners, eV"
    )


class SelfAbsorption(Model):
    """Undoes the self-absorption of a thick sample's yield; absorptions relative to the element's own after the edge.

    With the defaults of the windows, those of the edge.
    """

    background: float = Field(
        gt=0, description="absorption of all else at the incident energy"
    )
    fluorescence: float = Field(
        ge=0, description="absorption of everything at the emission energy"
    )
    post_edge: tuple[float, float] | None = Field(
        None, description="[low, high] of incident energy, eV"
    )


class Region(Piece):
    """A region of interest of the map and what is made of it. Limits that are not given do not limit."""

    kind: Kind | None = None
    preset: Edge | None = Field(
        None, description="edge whose table gives the limits that are not given"
    )
    edge: Edge | None = Field(
        None, description="only for maps of this edge; default: all"
    )
    pieces: tuple[Piece, ...] = Field(
        (), description="the region is all of them together, within its own limits"
    )
    exclude_elastic: float | None = Field(
        None, gt=0, description="half width around the elastic line left out, eV"
    )
    background: tuple[Background, ...] | None = Field(
        None, description="one or more, subtracted together"
    )
    scale: Literal["none", "max", "area", "edge"] | tuple[float, float] = Field(
        "none",
        description="none, max, area, edge, or a window [low, high] in eV: what the spectrum is divided by",
    )
    pre_edge: tuple[float, float] | None = Field(
        None, description="[low, high] for scale: edge, eV"
    )
    post_edge: tuple[float, float] | None = Field(
        None, description="[low, high] for scale: edge, eV"
    )
    self_absorption: SelfAbsorption | None = None
    cuts: tuple[float | tuple[float, float], ...] = Field(
        (),
        description="xes: a spectrum for each of these incident energies (nearest point) or bands, eV",
    )
    axis: Literal["emission", "loss"] = Field(
        "emission", description="xes: against emission energy or energy loss"
    )
    features: dict[RegionName, tuple[float, float]] = Field(
        {},
        description="windows [low, high] on the spectrum's axis whose area, centre and width are told",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_background_is_a_list_of_one(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("background"), dict):
            return values | {"background": [values["background"]]}
        return values

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Region":
        """What only some kinds can do is refused elsewhere, instead of passed over in silence."""
        windows = [
            *self.features.items(),
            *(("cuts", cut) for cut in self.cuts if isinstance(cut, tuple)),
        ]
        for name, (low, high) in windows:
            if not low < high:
                raise ValueError(
                    f"{name}: [{low}, {high}] must be [low, high] with low < high"
                )
        if self.kind is None and self.preset is None:
            raise ValueError(
                "kind: is needed (pfy, spfy, ipfy, tfy, xes, elastic), or preset: an edge"
            )
        if self.kind != "xes" and (self.cuts or self.axis != "emission"):
            raise ValueError("cuts and axis: loss belong to kind: xes")
        if self.self_absorption and self.kind not in ("pfy", "spfy", "tfy"):
            raise ValueError("self_absorption belongs to kind: pfy, spfy or tfy")
        if self.kind == "xes" and any(
            isinstance(b, (PreEdge, Leak)) for b in self.background or ()
        ):
            raise ValueError(
                "background: an emission spectrum has a sideband or blank, no constant, linear or leak"
            )
        if self.kind == "xes" and self.scale == "edge":
            raise ValueError("scale: edge belongs to spectra against incident energy")
        return self


class Feature(Model):
    """A feature of one region's spectra whose strength is compared; its windows lie on the spectrum's axis."""

    region: str
    window: tuple[float, float] = Field(description="[low, high] of the feature, eV")
    baseline: tuple[float, float] | None = Field(
        None, description="[low, high] without the feature, eV"
    )
    rest: str | None = Field(
        None,
        description="region that shows all but the feature, subtracted at equal baseline",
    )

    @model_validator(mode="after")
    def _rest_has_a_baseline(self) -> "Feature":
        if self.rest is not None and self.baseline is None:
            raise ValueError(
                "rest needs a baseline: where the two regions are brought to the same height"
            )
        return self


class Comparison(Model):
    """Samples whose spectra are overlaid, tested for being the same, and subtracted: each against the first."""

    samples: tuple[str, ...] = Field(min_length=2)
    regions: tuple[str, ...] | None = Field(
        None, description="default: every region that the samples share"
    )
    scale: Literal["free", "known"] | tuple[float, float] = Field(
        "free",
        description="common factor between samples: fitted, 1, or fitted in a window [low, high] in eV",
    )
    window: tuple[float, float] | None = Field(
        None, description="[low, high] that is tested, eV; default: all"
    )
    feature: Feature | None = None


class XasConfig(Model):
    """Absorption from the readings of the log, beside the PFY on one axis."""

    channels: tuple[str, ...] = Field(
        ("tey", "tfy"), description="readings that are absorption spectra"
    )
    scale: Literal["max", "edge"] = Field(
        "max", description="1 at the maximum, or an edge jump of 1"
    )
    pre_edge: tuple[float, float] | None = Field(
        None, description="[low, high] of the line before the edge, eV"
    )
    post_edge: tuple[float, float] | None = Field(
        None, description="[low, high] after the edge, for the jump, eV"
    )


class MultiPanelFigure(Model):
    """One figure with several panels, as a paper shows it."""

    kind: Literal["xas", "maps", "cuts", "spectra", "overview"]
    samples: tuple[str, ...] = Field(min_length=1)
    edges: tuple[Edge, ...] = Field(min_length=1)
    channel: tuple[str, ...] = Field(
        ("tey",),
        min_length=1,
        description="xas: reading, or pfy; of several a row each",
    )
    region: str | None = Field(
        None,
        description="maps, cuts, spectra: kind of region (pfy, spfy) or its name; framed, overlaid",
    )
    emission: tuple[float, float] | None = Field(
        None, description="[low, high] that the maps show, eV"
    )
    incident: tuple[float, ...] = Field(
        (), description="cuts: incident energies of the emission spectra, eV"
    )
    width: float = Field(
        0.5, gt=0, description="cuts: width of the incident band around each, eV"
    )
    compared: float | None = Field(
        None, description="cuts: the one of them at which the samples are overlaid, eV"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_channel_is_a_list_of_one(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("channel"), str):
            return values | {"channel": [values["channel"]]}
        return values

    @model_validator(mode="after")
    def _cuts_have_energies(self) -> "MultiPanelFigure":
        if self.kind == "cuts" and (
            not self.incident or self.compared not in (None, *self.incident)
        ):
            raise ValueError(
                "kind: cuts needs incident energies, and compared to be one of them"
            )
        return self


class PassesConfig(Model):
    """The passes of one sample and edge: are they the same, on one incident scale, without odd ones."""

    outliers: Literal["report", "leave_out"] = Field(
        "report",
        description="odd passes and points: only told, or left out of the co-added map as well",
    )
    level: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="chance that a sound sample and edge has any of them",
    )
    align: Literal["report", "apply"] = Field(
        "report",
        description="shifts of the incident scale between passes: only told, or taken out",
    )
    channel: str | None = Field(
        None, description="reading that is aligned, such as tey; default: the PFY"
    )


Memory = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$")]
BYTES = {
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
Line = Annotated[str, Field(pattern=r"^[^\n]+$")]


def n_bytes(memory: str) -> int:
    """A `Memory` in bytes: kB is 1000, KiB 1024."""
    number = memory.rstrip("kKMGTiB ")
    return int(float(number) * BYTES[memory[len(number) :].strip()])


class ClusterConfig(Model):
    """What SLURM is asked for: by `submit` for every job, and by `--scheduler slurm` for every worker."""

    partition: str | None = Field(None, description="default: that of the cluster")
    account: str | None = None
    walltime: str = Field(
        "01:00:00",
        pattern=r"^(\d+-)?\d+(:\d\d){1,2}$",
        description="time limit of a job",
    )
    cpus: int = Field(
        2, ge=1, description="cores of a job of `submit`, and its workers"
    )
    memory: Memory = Field("4GB", description="of a job of `submit`")
    scans_per_job: int = Field(
        1, ge=1, description="scans that one job of `submit` bins"
    )
    setup: tuple[Line, ...] = Field(
        (), description="shell lines before the command, such as `module load python`"
    )
    options: tuple[Line, ...] = Field(
        (), description="further options of sbatch, such as `--qos=normal`"
    )


class ExecutionConfig(Model):
    """How the work is done: never part of a hash, never changes a count."""

    scheduler: str = Field(
        "threads", pattern=r"^(serial|threads|processes|slurm|tcp://.+)$"
    )
    workers: int | None = Field(
        None, ge=1, description="default: the cores of the machine"
    )
    memory: Memory = Field(
        "1GB", description="bound of the command itself; on a cluster, of each worker"
    )
    cluster: ClusterConfig = ClusterConfig()

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        return n_bytes(self.memory)


class ReferenceLine(Model):
    """One emission line: where its maximum stands, how well that is known, and its shape.

    `shape`: Lorentzian components (offset from `energy` eV, full width at half maximum eV, share of the area),
    convolved with a Gaussian of standard deviation `sigma` eV: as the line leaves the sample, before the detector's
    resolution.
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
        None, description="this line is part of that line's shape; never fitted alone"
    )


class ReferenceSet(Model):
    """A named set of reference lines: the energy scale of everything that was calibrated with it."""

    name: str
    source: str
    lines: dict[str, ReferenceLine] = Field(min_length=3)
    variants: dict[str, str] = Field(
        {}, description="line -> variant, of lines that are not as the set has them"
    )

    def attributes(self) -> dict[str, str]:
        """What every product says of its energy scale; the variants as JSON."""
        values = self.name, self.source, json.dumps(self.variants)
        return dict(zip(REFERENCE_ATTRIBUTES, values, strict=True))


class Config(Model):
    """The whole config of one reduction."""

    beamtime: BeamtimeConfig = BeamtimeConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    map: MapConfig = MapConfig()
    normalise: NormaliseConfig = NormaliseConfig()
    geometry: GeometryConfig = GeometryConfig()
    regions: dict[RegionName, Region] | None = Field(
        None, description="default: the presets of the edges found"
    )
    compare: dict[str, Comparison] = {}
    passes: PassesConfig = PassesConfig()
    xas: XasConfig = XasConfig()
    figures: dict[str, MultiPanelFigure] = {}
    execution: ExecutionConfig = ExecutionConfig()

    def science(self, *sections: str) -> dict[str, Any]:
        """The named sections as plain JSON values: what a product's config hash is made of."""
        return {name: self.model_dump(mode="json")[name] for name in sections}
