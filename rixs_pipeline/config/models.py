"""The config as a whole, and its smaller sections.

Everything here changes results, except for `execution`, which is never part of a hash.
A config file names only what differs from the defaults.
"""

from math import isfinite, radians, sin
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rixs_pipeline.config.base import EnergyLimits, FileName, Limits, Model, RegionName
from rixs_pipeline.config.calibration import CalibrationConfig
from rixs_pipeline.config.comparison import Comparison, PassesConfig
from rixs_pipeline.config.execution import ExecutionConfig
from rixs_pipeline.config.experiment import ExperimentConfig
from rixs_pipeline.config.figures import MultiPanelFigure
from rixs_pipeline.config.normalise import NormaliseConfig, ScanScale
from rixs_pipeline.config.plots import PlotsConfig
from rixs_pipeline.config.regions import Region, count_joined_bins
from rixs_pipeline.paths import safe_name
from rixs_pipeline.types import LOG_SPECTRA, Edge

# largest deviation from a whole number of bins: rounding of limits and widths
BINS_TOLERANCE = 1e-6
MOST_BINS = 30_000_000  # of emission: one number for each takes 240 MB


class ScanCorrection(Model):
    """Corrections to what the log records about a scan."""

    sample: str | None = None
    edge: Edge | None = None
    readings: str | None = Field(
        None, description="SSRL ASCII file with the readings of this scan"
    )


class Exclusions(Model):
    """Scans, pixels and points to leave out."""

    scans: tuple[int | str, ...] = ()
    pixels: tuple[int, ...] = ()
    points: dict[int | str, tuple[int, ...]] = Field(
        {}, description="scan -> points to exclude, counted from 0"
    )


class BeamtimeConfig(Model):
    """Corrections to what the logs record."""

    samples: dict[str, str] = Field(
        {}, description="sample name in the log -> name to use"
    )
    scans: dict[int | str, ScanCorrection] = Field(
        {}, description="scan number or name -> corrections"
    )
    exclude: Exclusions = Exclusions()
    clock_offset: Literal["auto"] | float | dict[int | str, float] = Field(
        "auto",
        description="time in the logs minus time of the detector, s: auto (found from "
        "readings and pulses; corrected where it stands out), seconds for all runs, or "
        "scan -> seconds (0: keep its times; other scans: auto)",
    )


class MapConfig(Model):
    """The bins of the maps."""

    emission: EnergyLimits = Field(
        (200.0, 1100.0), description="emission energy range [low, high], eV"
    )
    step: float = Field(0.5, gt=0, description="width of the emission bins, eV")
    incident: EnergyLimits | None = Field(
        None,
        description="range [low, high] of explicit incident energy bins, eV; "
        "default: the points of the scan",
    )
    incident_step: float | None = Field(
        None, gt=0, description="width of the explicit incident energy bins, eV"
    )
    elastic_offset: Literal["report", "apply"] = Field(
        "report",
        description="offset of the elastic line: report (reported only) or apply "
        "(applied to the incident energies)",
    )
    best_pixels: dict[Edge, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="edge -> number of pixels to use, starting with the best "
        "resolution; default: all pixels with status ok",
    )
    keep_photons: bool = Field(
        False,
        description="store the calibrated photons of each scan (photons/*.h5), so "
        "that maps with other bins can be made without pulse files",
    )

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        """Require whole bins, and both keys of explicit incident bins."""
        n_bins = _check_whole_bins("emission", "step", self.emission, self.step)
        if n_bins > MOST_BINS:
            raise ValueError(
                f"step: {self.step} eV makes {n_bins:.2g} emission bins, {MOST_BINS:,} "
                "at most; increase it"
            )
        if (self.incident is None) != (self.incident_step is None):
            raise ValueError(
                "only one of `incident` and `incident_step` is set; set both or neither"
            )
        if self.incident is not None and self.incident_step is not None:
            _check_whole_bins(
                "incident", "incident_step", self.incident, self.incident_step
            )
        return self


def _check_whole_bins(
    range_key: str, step_key: str, limits: tuple[float, float], step: float
) -> float:
    """Return the number of bins of a range; refuse one that is not whole."""
    low, high = limits
    n_bins = (high - low) / step
    if not isfinite(n_bins) or abs(n_bins - round(n_bins)) > BINS_TOLERANCE:
        raise ValueError(
            f"{range_key}: {list(limits)} is not a whole number of bins of "
            f"{step} eV; change `{range_key}` or `{step_key}`"
        )
    return n_bins


class GeometryConfig(Model):
    """Angles of the sample surface, which self-absorption depends on."""

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
        """Factor g = sin(incidence) / sin(takeoff).

        A. J. Achkar et al., Phys. Rev. B 83, 081106 (2011).
        """
        return sin(radians(self.incidence)) / sin(radians(self.takeoff))


class XasConfig(Model):
    """Absorption spectra from readings of the log."""

    channels: tuple[str, ...] = Field(
        ("tey", "tfy"), description="readings to use as absorption spectra"
    )
    channel_scale: dict[str, dict[int | str, ScanScale]] = Field(
        {},
        description="channel -> scan -> factor that its readings are multiplied by, as "
        "`normalise.i0_scale`",
    )
    scale: Literal["max", "edge"] = Field(
        "max",
        description="scale spectra to a maximum of 1 (max) or to an edge jump of "
        "1 (edge)",
    )
    pre_edge: Limits | None = Field(
        None,
        description="pre-edge range [low, high], eV; default: the pre-edge range "
        "of the edge",
    )
    pre_edge_line: Literal["auto", "linear", "constant"] = Field(
        "auto",
        description="what is subtracted before the edge from all samples alike; auto: "
        "a line where `pre_edge` is set or the incident energies of every sample "
        "determine it, else a constant",
    )
    post_edge: Limits | None = Field(
        None,
        description="post-edge range [low, high], eV; default: the post-edge "
        "range of the edge",
    )


class Config(Model):
    """The whole config of one reduction."""

    experiment: ExperimentConfig = ExperimentConfig()
    beamtime: BeamtimeConfig = BeamtimeConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    map: MapConfig = MapConfig()
    normalise: NormaliseConfig = NormaliseConfig()
    geometry: GeometryConfig = GeometryConfig()
    regions: dict[RegionName, Region] | None = Field(
        None, description="regions by name; default: the presets of the scanned edges"
    )
    compare: dict[FileName, Comparison] = Field({}, description="comparisons by name")
    passes: PassesConfig = PassesConfig()
    xas: XasConfig = XasConfig()
    plots: PlotsConfig = PlotsConfig()
    figures: dict[FileName, MultiPanelFigure] = Field(
        {}, description="multi-panel figures by name"
    )
    execution: ExecutionConfig = ExecutionConfig()

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        """Refuse bins of emission spectra that do not fit the maps or the region."""
        for name, region in (self.regions or {}).items():
            if region.step is not None:
                try:
                    count_joined_bins(region.step, self.map.step)
                    region.check_step(self.map.emission)
                except ValueError as error:
                    raise ValueError(f"regions.{name}.{error}") from None
        return self

    @model_validator(mode="after")
    def _check_region_names(self) -> Self:
        """Refuse the names of the spectra of readings, which would replace a region."""
        reserved = [f"log_{channel}" for channel in LOG_SPECTRA]
        for name in self.regions or {}:
            if name in reserved:
                raise ValueError(
                    f"regions.{name}: {' and '.join(reserved)} are the names of the "
                    "spectra from the log; rename the region"
                )
        return self

    @model_validator(mode="after")
    def _check_file_names(self) -> Self:
        """Refuse names with the same file name, of which one would be lost."""
        for section in ("compare", "figures"):
            owners: dict[str, str] = {}
            for name in getattr(self, section):
                owner = owners.setdefault(safe_name(name), name)
                if owner != name:
                    raise ValueError(
                        f"{section}: '{owner}' and '{name}' have the same file name "
                        f"({safe_name(name)}); rename one of them"
                    )
        return self

    def science(self, *sections: str) -> dict[str, Any]:
        """Return sections as plain JSON values, for the config hash of a product."""
        values = self.model_dump(mode="json")
        return {name: values[name] for name in sections}
