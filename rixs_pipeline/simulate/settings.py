"""What is simulated: every choice of a simulated beamtime, and the presets that ship."""

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
]
Channels = tuple[Annotated[int, Field(ge=1)], ...]


class Sample(Model):
    """One sample of the beamtime: an LMR cathode in one state."""

    name: str
    redox: float = Field(
        1.0,
        ge=0,
        description="amplitude of the oxygen-redox feature (incident 531.0, emission 523.6)",
    )
    reduction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the metals at the surface that is reduced: TEY only",
    )
    fluorine: float = Field(
        0.0,
        ge=0,
        description="amount of fluorine (PVDF, LiPF6): F Ka in the Co and Ni maps",
    )
    oxide: float = Field(
        1.0,
        ge=0,
        description="amount of the oxide: 0 is an electrode without it, carbon alone",
    )
    edges: tuple[ScanEdge, ...] = Field(
        (), description="edges at which it is scanned; default: all"
    )


class BeamDump(Model):
    """Points of a scan without beam."""

    scan: int = Field(ge=1, description="scan number")
    first: int = Field(ge=0, description="index of the first point without beam")
    points: int = Field(ge=1, description="how many points")


class SimulationSettings(Model):
    """A whole beamtime. Equal settings give equal bytes; a pixel does not depend on how many others there are."""

    seed: int = Field(0, ge=0, description="everything random follows from it")
    pixels: int = Field(
        10, ge=1, le=1000, description="pixels of the array; channels are 1, 3, 5, ..."
    )
    rate: float = Field(
        5.0,
        gt=0,
        le=500,
        description="photons/s on a mean pixel, averaged over the points of a scan",
    )
    calibration_rate: float = Field(
        10.0, gt=0, le=500, description="photons/s on a mean pixel in reference runs"
    )

    edges: tuple[ScanEdge, ...] = Field(
        ("Co_L", "O_K"), min_length=1, description="edges scanned, in this order"
    )
    samples: tuple[Sample, ...] = Field(
        (Sample(name="LMR_RT"), Sample(name="LMR_100C", redox=1.4, reduction=0.3)),
        min_length=1,
    )
    passes: int = Field(2, ge=1, description="scans of each edge and sample")
    points: int = Field(70, ge=5, le=2000, description="incident energies of a scan")
    dwell: float = Field(1.2, gt=0, description="seconds a point")
    settle: float = Field(
        0.35,
        ge=0,
        description="seconds between points: the monochromator moves, pulses go on",
    )
    calibrations: Literal[1, 2] = Field(
        2, description="reference runs: before the scans, and after them"
    )
    calibration_duration: float = Field(
        900.0, gt=0, description="seconds of a reference run"
    )
    last_calibration_after: float = Field(
        7200.0, gt=0, description="seconds without beam before the last reference run"
    )

    lines: tuple[LineName, ...] = Field(
        ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"),
        min_length=1,
        description="lines of the reference sample",
    )
    contaminants: tuple[LineName, ...] = Field(
        (), description="weaker lines that the reference should not hold"
    )
    parked_energy: float = Field(
        1000.0, description="incident energy in reference runs, as the log has it, eV"
    )
    monochromator_slip: float = Field(
        -2.6, description="true - logged parked energy in the last reference run, eV"
    )

    fwhm: float = Field(
        1.4,
        gt=0,
        description="resolution of a mean pixel, eV (3.0 is like the real data of 2020)",
    )
    fwhm_spread: float = Field(
        0.12, ge=0, lt=1, description="relative spread of the resolution between pixels"
    )
    tail_fraction: tuple[float, float] = Field(
        (0.12, 0.20), description="[low, high] share in the low-energy tail"
    )
    tail_length: tuple[float, float] = Field(
        (10.0, 30.0), description="[low, high] decay length of the tail, eV"
    )
    gain_roughness: tuple[float, float] = Field(
        (0.5, 1.0),
        description="[low, high] rms of the gain's part that no formula describes, eV over 277-1000 eV",
    )
    drift: float = Field(
        1.0,
        ge=0,
        description="size of the drift that pretriggerMean sees, 1 like the real data",
    )
    hidden_drift: float = Field(
        0.2,
        ge=0,
        description="rms at 851 eV of the drift that pretriggerMean misses, eV",
    )
    phase: float = Field(
        1.0, ge=0, description="size of the arrival-phase effect, 1 like the real data"
    )
    bad_share: float = Field(
        0.005,
        ge=0,
        lt=0.5,
        description="share of pulses with a wrong height and a large residual",
    )
    tail_after_pulse: tuple[float, Annotated[float, Field(gt=0)]] = Field(
        (0.0, 0.02),
        description="[eV, s]: what a pulse adds to the next one, and the decay time of that; 0: no tail",
    )
    noise_rate: float = Field(
        2.0, ge=0, description="spurious triggers/s in noisy pixels"
    )

    dead_pixels: Channels = Field(
        (5,), description="channels whose file is a header alone"
    )
    noisy_pixels: Channels = Field(
        (9,), description="channels with a terrible resolution and spurious triggers"
    )
    jumping_pixels: Channels = Field(
        (13,),
        description="channels that jump by 15-22 eV before the last reference run",
    )
    scan_jumping_pixels: Channels = Field(
        (), description="channels that jump in the middle of the middle scan"
    )
    truncated_pixels: Channels = Field(
        (17,), description="channels whose last record is cut short"
    )
    aborted_scans: tuple[int, ...] = Field(
        (), description="scans that end at 60 % of their points, unfinished"
    )
    beam_dumps: tuple[BeamDump, ...] = Field(
        (BeamDump(scan=2, first=20, points=3),), description="points with I0 about 0"
    )

    off_version: Literal["0.1.0", "0.2.0", "0.3.0"] = "0.3.0"
    bases: int = Field(5, ge=3, le=20, description="coefficients of a pulse")
    projector_samples: int = Field(
        1024,
        ge=8,
        le=1024,
        description="columns of the projectors; the real ones are 1024",
    )
    event_truth: bool = Field(
        False,
        description="write truth.npz: the energy of every record, and whether it is good",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "SimulationSettings":
        """Names of samples, edges and lines must be unique: the products are named after them."""
        all_names: dict[str, list[str]] = {
            "samples": [sample.name for sample in self.samples],
            "edges": [*self.edges],
            "lines and contaminants": [*self.lines, *self.contaminants],
        }
        for what, names in all_names.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: {names} must differ from each other")
        return self

    def edges_of(self, sample: Sample) -> tuple[ScanEdge, ...]:
        """The edges at which a sample is scanned, in this order."""
        return tuple(
            edge for edge in self.edges if not sample.edges or edge in sample.edges
        )

    @property
    def channels(self) -> range:
        """Channel numbers of the pixels: odd, as a time-division readout numbers them."""
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
    # small enough to ship, every defect in it
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
    # the edges, passes and times of the LMR study
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


def preset(name: str, **changes: Any) -> SimulationSettings:
    """A preset with some fields changed, e.g. `preset("sample", pixels=4, edges=["O_K"])`.

    Raises:
        UsageError: there is no such preset or field, or a value is out of its range; the message names it.
    """
    if name not in PRESETS:
        raise UsageError(
            f"simulate: unknown preset '{name}'; choose one of {', '.join(PRESETS)}"
        )
    try:
        return SimulationSettings.model_validate(PRESETS[name].model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise UsageError(f"simulate: {where}: {first['msg']}") from None
