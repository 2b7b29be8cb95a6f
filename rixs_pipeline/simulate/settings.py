"""Settings of a simulated beamtime, and the presets."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from rixs_pipeline.config import Model
from rixs_pipeline.errors import UsageError

ScanEdge = Literal["C_K", "O_K", "Mn_L", "Co_L", "Ni_L"]

LineName = Literal[
    "C_Ka",
    "N_Ka",
    "O_Ka",
    "F_Ka",
    "Ti_La",
    "V_La",
    "Cr_La",
    "Mn_La",
    "Fe_La",
    "Co_La",
    "Ni_La",
    "Cu_La",
    "Zn_La",
    "Si_Ka",
    "S_Ka",
    "Ca_Ka",
    "Ti_Ka",
    "Fe_Ka",
    "Cu_Ka",
]
# fields that `truth.json` holds only where they differ from their default
LATER_SETTINGS = ("common_drift", "pretrigger_scatter", "timing")

# Standard deviation of the baseline from pulse to pulse, units. The gain follows it: of
# the real pulses above 690 eV by 3.5 +- 0.5 e-5 relative a unit for what differs from
# the running median over 31 pulses, by 1.7 +- 0.6 e-5 for the median.
BASELINE_FLICKER = 4.5

Channels = tuple[Annotated[int, Field(ge=1)], ...]


class Sample(Model):
    """A sample: an LMR cathode in one state."""

    name: str
    redox: float = Field(
        1.0,
        ge=0,
        description="amplitude of the oxygen-redox feature "
        "(incident 531.0 eV, emission 523.6 eV)",
    )
    reduction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="fraction of the metals that is reduced at the surface; "
        "affects TEY only",
    )
    fluorine: float = Field(
        0.0,
        ge=0,
        description="relative amount of fluorine (PVDF, LiPF6), which emits F Ka "
        "in the Co and Ni maps",
    )
    oxide: float = Field(
        1.0,
        ge=0,
        description="relative amount of oxide; 0: carbon electrode without oxide",
    )
    edges: tuple[ScanEdge, ...] = Field(
        (), description="edges at which the sample is scanned; empty: all edges"
    )


class BeamDump(Model):
    """Points of a scan without beam."""

    scan: int = Field(ge=1, description="scan number")
    first: int = Field(ge=0, description="index of the first point without beam")
    points: int = Field(ge=1, description="number of points without beam")


class Timing(Model):
    """Times of labels, beam and logs around the points of runs."""

    label_lead: tuple[float, float] = Field(
        (0.0, 0.0),
        description="range [low, high] of the time from the label of a run in the "
        "experiment states to its first point, s; 0 to 3 in real data",
    )
    label_lag: tuple[float, float] = Field(
        (0.0, 0.0),
        description="range [low, high] of the time from the end of the last point "
        "to the label PAUSE, s",
    )
    beam_before: float = Field(
        0.0, ge=0, description="time from the first pulses of a scan to its points, s"
    )
    beam_after: float = Field(
        0.0, ge=0, description="time from the end of a scan to its last pulses, s"
    )
    beam_between: bool = Field(
        False,
        description="whether pulses go on, at the rate of the last point, until those "
        "of the next scan begin, also between samples",
    )
    moving: bool = Field(
        False,
        description="whether the incident energy moves from point to point in the "
        "time `settle`; otherwise pulses there are those of the point before",
    )
    clock_offset: float = Field(
        0.0, description="times in the logs minus those of the detector, s"
    )
    clock_drift: float = Field(
        0.0, description="change of the clock offset, s per hour of the beamtime"
    )
    scan_clock_offsets: dict[int, float] = Field(
        {}, description="scan number -> further clock offset of its log, s"
    )


class SimulationSettings(Model):
    """Settings of a beamtime.

    Equal settings give equal bytes. A pixel does not depend on the number of pixels.
    """

    seed: int = Field(0, ge=0, description="seed of all random numbers")
    pixels: int = Field(
        10,
        ge=1,
        le=1000,
        description="number of pixels; their channel numbers are 1, 3, 5, ...",
    )
    rate: float = Field(
        5.0,
        gt=0,
        le=500,
        description="mean photon rate per pixel over the points of a scan, 1/s",
    )
    calibration_rate: float = Field(
        10.0,
        gt=0,
        le=500,
        description="mean photon rate per pixel in reference runs, 1/s",
    )

    edges: tuple[ScanEdge, ...] = Field(
        ("Co_L", "O_K"), min_length=1, description="edges to scan, in this order"
    )
    samples: tuple[Sample, ...] = Field(
        (Sample(name="LMR_RT"), Sample(name="LMR_100C", redox=1.4, reduction=0.3)),
        min_length=1,
    )
    passes: int = Field(
        2, ge=1, description="number of scans of each sample at each edge"
    )
    points: int = Field(
        70, ge=5, le=2000, description="number of incident energies of a scan"
    )
    dwell: float = Field(1.2, gt=0, description="duration of a point, s")
    settle: float = Field(
        0.35,
        ge=0,
        description="time between points, during which pulses are also recorded, s",
    )
    calibrations: Literal[1, 2] = Field(
        2,
        description="number of reference runs: 1 (before the scans) or 2 (before "
        "and after the scans)",
    )
    calibration_duration: float = Field(
        900.0, gt=0, description="duration of a reference run, s"
    )
    last_calibration_after: float = Field(
        7200.0, gt=0, description="time without beam before the last reference run, s"
    )

    lines: tuple[LineName, ...] = Field(
        ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"),
        min_length=1,
        description="emission lines of the reference sample",
    )
    contaminants: tuple[LineName, ...] = Field(
        (),
        description="weaker emission lines from contamination of the reference sample",
    )
    parked_energy: float = Field(
        1000.0, description="logged incident energy of reference runs, eV"
    )
    monochromator_slip: float = Field(
        -2.6,
        description="true minus logged incident energy of the last reference run, eV",
    )

    incident_offset: float = Field(
        0.0, description="true minus logged incident energy of scans, eV"
    )
    elastic: float = Field(
        1.0, ge=0, description="factor of the intensity of elastic light in scans"
    )
    elastic_resonance: float | None = Field(
        None,
        ge=-1,
        description="null: elastic light resonates and is absorbed as in the model of "
        "the sample; a number r: its intensity is constant, times 1 + r at the highest "
        "resonance of the scanned edge",
    )

    full_scale: float = Field(
        1000.0,
        ge=1000,
        le=10000,
        description="energy that the detector is made for, eV: gains, drift and phase "
        "effect are relative to it; 8000 for K lines up to Cu",
    )
    fwhm: float = Field(
        1.4,
        gt=0,
        description="resolution of a typical pixel, eV FWHM; 3.0 in the real data "
        "of 2020",
    )
    fwhm_spread: float = Field(
        0.12, ge=0, lt=1, description="relative spread of the resolution between pixels"
    )
    tail_fraction: tuple[float, float] = Field(
        (0.12, 0.20),
        description="range [low, high] of the fraction of photons in the "
        "low-energy tail",
    )
    tail_length: tuple[float, float] = Field(
        (10.0, 30.0),
        description="range [low, high] of the decay length of the tail, eV",
    )
    gain_roughness: tuple[float, float] = Field(
        (0.5, 1.0),
        description="range [low, high] of the rms deviation, over 277-1000 eV, of "
        "the gain curve from its formula, eV",
    )
    drift: float = Field(
        1.0,
        ge=0,
        description="size of the gain drift that correlates with the pretrigger "
        "mean; 1: as in real data",
    )
    hidden_drift: float = Field(
        0.2,
        ge=0,
        description="rms at 851 eV of the gain drift that does not correlate with "
        "the pretrigger mean, eV",
    )
    common_drift: tuple[
        Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]
    ] = Field(
        (0.0, 7200.0),
        description="[rms at 851 eV in eV, period in s] of a gain drift that all "
        "pixels share and that the pretrigger mean does not show",
    )
    pretrigger_scatter: float = Field(
        BASELINE_FLICKER,
        ge=0,
        description="standard deviation of the pretrigger mean from pulse to pulse, "
        "units; 5.3 to 6.7 in real data",
    )
    phase: float = Field(
        1.0, ge=0, description="size of the arrival-phase effect; 1: as in real data"
    )
    bad_share: float = Field(
        0.005,
        ge=0,
        lt=0.5,
        description="fraction of pulses with a wrong pulse height and a large residual",
    )
    tail_after_pulse: tuple[float, Annotated[float, Field(gt=0)]] = Field(
        (0.0, 0.02),
        description="[energy added to the next pulse in eV, decay time in s]; 0 "
        "eV: no effect on the next pulse",
    )
    noise_rate: float = Field(
        2.0, ge=0, description="rate of spurious triggers in noisy pixels, 1/s"
    )

    dead_pixels: Channels = Field(
        (5,), description="channels whose file contains only a header"
    )
    noisy_pixels: Channels = Field(
        (9,), description="pixels with poor resolution and spurious triggers"
    )
    jumping_pixels: Channels = Field(
        (13,), description="pixels with a gain jump of 15-22 eV after the last scan"
    )
    scan_jumping_pixels: Channels = Field(
        (), description="pixels with a gain jump in the middle of the middle scan"
    )
    truncated_pixels: Channels = Field(
        (17,), description="channels whose last record is truncated"
    )
    aborted_scans: tuple[int, ...] = Field(
        (), description="scans that are aborted after 60 % of their points"
    )
    beam_dumps: tuple[BeamDump, ...] = Field(
        (BeamDump(scan=2, first=20, points=3),), description="points without beam"
    )

    off_version: Literal["0.1.0", "0.2.0", "0.3.0"] = "0.3.0"
    bases: int = Field(
        5, ge=3, le=20, description="number of projector coefficients of each pulse"
    )
    projector_samples: int = Field(
        1024,
        ge=8,
        le=1024,
        description="number of data points in each projector; 1024 in real files",
    )
    event_truth: bool = Field(
        False,
        description="write truth.npz, with the energy and quality of every record",
    )
    timing: Timing = Timing()

    @model_validator(mode="after")
    def _check_names(self) -> "SimulationSettings":
        """Products are named after samples and edges, so that names must be unique."""
        all_names: dict[str, list[str]] = {
            "samples": [sample.name for sample in self.samples],
            "edges": [*self.edges],
            "lines and contaminants": [*self.lines, *self.contaminants],
        }
        for field_name, names in all_names.items():
            if len(set(names)) < len(names):
                listed = ", ".join(names)
                raise ValueError(f"{field_name}: names must be unique, not {listed}")
        return self

    def edges_of(self, sample: Sample) -> tuple[ScanEdge, ...]:
        """Return the edges at which a sample is scanned, in order of time."""
        return tuple(
            edge for edge in self.edges if not sample.edges or edge in sample.edges
        )

    def as_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON, without later additions at their default.

        Beamtimes with none of the additions keep their bytes.
        """
        settings = self.model_dump(mode="json")
        for name in LATER_SETTINGS:
            if getattr(self, name) == type(self).model_fields[name].default:
                del settings[name]
        return settings

    @property
    def channels(self) -> range:
        """Channel numbers: odd, as in a time-division readout."""
        return range(1, 2 * self.pixels, 2)


_BENCHMARK = SimulationSettings(
    passes=3,
    points=240,
    dwell=1.95,
    rate=11.3,
    calibration_rate=11.5,
    dead_pixels=(),
    noisy_pixels=(),
    jumping_pixels=(),
    truncated_pixels=(),
    beam_dumps=(),
)

PRESETS: dict[str, SimulationSettings] = {
    # small enough for the repository, with every defect
    "sample": SimulationSettings(
        seed=20260101,
        pixels=8,
        rate=8.2,
        calibration_rate=10.0,
        calibration_duration=350.0,
        points=60,
        dwell=2.0,
        settle=0.12,
        noise_rate=0.5,
        truncated_pixels=(15,),
        bases=3,
        projector_samples=64,
    ),
    # edges, passes and times of the LMR study
    "paper": SimulationSettings(
        pixels=64,
        edges=("Ni_L", "Co_L", "Mn_L", "O_K"),
        passes=5,
        points=240,
        dwell=1.95,
        rate=4.0,
        samples=(
            Sample(name="LMR_RT", fluorine=0.3),
            Sample(name="LMR_100C", redox=1.4, reduction=0.3, fluorine=0.3),
            Sample(name="pristine", redox=0.0, fluorine=0.3, edges=("O_K",)),
            Sample(name="LMR_free", oxide=0.0, fluorine=0.3, edges=("O_K",)),
        ),
        dead_pixels=(21,),
        noisy_pixels=(33,),
        jumping_pixels=(9,),
        scan_jumping_pixels=(57,),
        truncated_pixels=(101,),
    ),
    "benchmark_64": _BENCHMARK.model_copy(update={"pixels": 64}),
    "benchmark_240": _BENCHMARK.model_copy(update={"pixels": 240}),
}


def preset_settings(name: str, **changes: Any) -> SimulationSettings:
    """Return the settings of a preset with some fields changed.

    Parameters
    ----------
    name
        A key of `PRESETS`.
    **changes
        Fields of `SimulationSettings`, such as `pixels=4, edges=["O_K"]`.

    Returns
    -------
    SimulationSettings
        The settings, checked.

    Raises
    ------
    UsageError
        There is no such preset or field, or a value is out of its range.
    """
    if name not in PRESETS:
        available = ", ".join(PRESETS)
        raise UsageError(
            f"simulate: unknown preset '{name}'; choose one of {available}"
        )
    try:
        return SimulationSettings.model_validate(PRESETS[name].model_dump() | changes)
    except ValidationError as error:
        first_error = error.errors()[0]
        field_path = ".".join(map(str, first_error["loc"])) or "settings"
        raise UsageError(f"simulate: {field_path}: {first_error['msg']}") from None
