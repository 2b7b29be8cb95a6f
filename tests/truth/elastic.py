"""PFY with and without the elastic line against truth, over maps with Poisson noise.

python -m tests.truth.elastic --maps 5 --seed 7 [--shape steady bump step sample]
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.maps.map_data import MapData, Resolution, ResponseTail
from rixs_pipeline.core.spectra.presets import preset_regions
from rixs_pipeline.core.spectra.regions import ElasticBackground, Region, RegionKind
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import extract_spectrum
from rixs_pipeline.simulate.emission import LightPart
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import DetectorResponse, true_map
from rixs_pipeline.types import BoolArray, Edge, FloatArray

POINTS = 60  # of a scan
TAIL_FRACTION, TAIL_LENGTH = 0.16, 20.0
EDGES = np.arange(480.0, 920.1, 0.5)  # of the emission bins, eV
BRIGHT = 0.6  # of the highest fluorescence: the white line
LARGEST_BIAS = 2.0  # %
STEP_WIDTH_EV = 1.0  # of the tanh with which the elastic light doubles


class Shape(StrEnum):
    """Elastic light against incident energy.

    The same at all energies; twice as much at the white line, and from the white line
    on; in proportion to the resonant absorption, and absorbed in the sample.
    """

    STEADY = "steady"
    BUMP = "bump"
    STEP = "step"
    SAMPLE = "sample"


@dataclass(frozen=True)
class Condition:
    """What is simulated.

    `shape` of the elastic light;
    `seconds`: exposure of a point, pixels x s (rate 5 / s a pixel on average).
    """

    edge: Edge
    shape: Shape
    fwhm: float
    seconds: float
    offset: float = 0.0
    strength: float = 1.0

    @property
    def settings(self) -> SimulationSettings:
        """Return the settings of the simulation."""
        resonance = {Shape.BUMP: 1.0, Shape.SAMPLE: None}.get(self.shape, 0.0)
        return SimulationSettings(
            elastic=self.strength,
            elastic_resonance=resonance,
            incident_offset=self.offset,
        )


@dataclass(frozen=True)
class Outcome:
    """Yields of one condition, and what is true.

    `intensity`, `errors` (map, point), and `noise` of the counts in them, which is
    known here; `truth` (point,); `common_errors` (map,): stated error of the elastic
    light in the whole spectrum; `offsets` (map,) of the line from the true one, eV.
    """

    intensity: FloatArray
    errors: FloatArray
    noise: FloatArray
    truth: FloatArray
    common_errors: FloatArray
    offsets: FloatArray

    @property
    def pulls(self) -> FloatArray:
        """Deviations over stated errors (map, point)."""
        return (self.intensity - self.truth) / self.errors

    @property
    def bias(self) -> "Estimate":
        """Bias of the whole spectrum, %."""
        return self.relative_bias(np.ones(len(self.truth), bool))

    def relative_bias(self, chosen: BoolArray) -> "Estimate":
        """Return the bias of the sum over points, %.

        The noise of the counts has expectation 0. Without it the scatter from map to
        map is that of the subtracted light alone.
        """
        deviation = (self.intensity - self.noise - self.truth)[:, chosen].sum(axis=1)
        return mean_of_maps(100 * deviation / self.truth[chosen].sum())

    def line(self) -> str:
        """Return the figures in one line."""
        bright = self.truth > BRIGHT * self.truth.max()
        in_errors = np.abs(self.pulls[:, bright].mean())
        subtracted = self.intensity - self.noise - self.truth
        common = subtracted.sum(axis=1) / self.common_errors
        return (
            f"{self.pulls.size:5d} points, pulls {rms(self.pulls):.3f} "
            f"mean {self.pulls.mean():+.3f}, bias {self.bias} %, "
            f"white line {self.relative_bias(bright)} % = {in_errors:.2f} errors, "
            f"pulls {rms(self.pulls[:, bright]):.3f}; elastic light of the spectrum: "
            f"mean {-common.mean():+.2f}, rms {rms(common):.2f} stated errors; "
            f"offset {mean_of_maps(self.offsets)} eV, rms {rms(self.offsets):.2f}"
        )


@dataclass(frozen=True)
class Estimate:
    """Mean over maps and its standard deviation."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} +- {self.error:.2f}"


def mean_of_maps(values: FloatArray) -> Estimate:
    """Return the mean of values (map,); its error is NaN with one map."""
    error = np.nan
    if len(values) > 1:
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), error)


def rms(values: FloatArray) -> float:
    """Return the root mean square."""
    return float(np.sqrt((values**2).mean()))


def conditions(shape: Shape) -> Iterator[Condition]:
    """Yield all conditions of a shape."""
    for edge in (Edge.Co_L, Edge.Ni_L, Edge.Mn_L, Edge.O_K):
        yield Condition(edge, shape, 1.4, 300)
        yield Condition(edge, shape, 3.0, 300, offset=0.5)
        yield Condition(edge, shape, 1.4, 30)
    if shape is not Shape.SAMPLE:
        yield Condition(Edge.Co_L, shape, 1.4, 100, offset=-0.5, strength=5.0)


def step_factor(incident: FloatArray, fluorescence: FloatArray) -> FloatArray:
    """Return a factor (point,) that rises from 1 to 2 at the white line."""
    white_line = incident[fluorescence.argmax()]
    return np.asarray(1.5 + np.tanh((incident - white_line) / STEP_WIDTH_EV) / 2)


def extract(
    condition: Condition, region: Region, n_maps: int, seed: int, *parts: LightPart
) -> Outcome:
    """Extract a region from noisy maps and compare it with parts of the light."""
    incident = scan_energies(condition.edge, POINTS)
    response = DetectorResponse(condition.fwhm, TAIL_FRACTION, TAIL_LENGTH)
    light = {
        part: true_map(
            condition.settings,
            condition.edge,
            "LMR_RT",
            incident,
            EDGES,
            response=response,
            part=part,
        )
        for part in (LightPart.FLUORESCENCE, LightPart.ELASTIC)
    }
    if condition.shape is Shape.STEP:
        fluorescence = light[LightPart.FLUORESCENCE].sum(axis=1)
        factor = step_factor(incident, fluorescence)
        light[LightPart.ELASTIC] = factor[:, None] * light[LightPart.ELASTIC]
    rates = sum(light.values())
    exposure = np.full(POINTS, condition.seconds)
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    assert region.emission is not None
    inside = region.emission.contains(centres)
    truth = sum(light[part] for part in parts)[:, inside].sum(axis=1)
    all_light = rates[:, inside].sum(axis=1)
    spectra, noise = [], []
    for number in range(n_maps):
        rng = np.random.default_rng([seed, number])
        data = MapData(
            counts=rng.poisson(rates * condition.seconds),
            exposure=exposure,
            emission_edges=EDGES,
            incident=incident,
            tail=ResponseTail(TAIL_FRACTION, 0.15 * TAIL_FRACTION, TAIL_LENGTH),
            resolution=Resolution(condition.fwhm, 0.1 * condition.fwhm),
        )
        spectra.append(extract_spectrum(data, region))
        noise.append(data.counts[:, inside].sum(axis=1) / exposure - all_light)
    offsets = [fitted_offset(spectrum) for spectrum in spectra]
    return Outcome(
        intensity=np.array([spectrum.intensity for spectrum in spectra]),
        errors=np.array([spectrum.intensity_errors for spectrum in spectra]),
        noise=np.array(noise),
        truth=truth,
        common_errors=np.array([common_error(spectrum) for spectrum in spectra]),
        offsets=np.array(offsets) - condition.offset,
    )


def common_error(spectrum: Spectrum) -> float:
    """Return the stated error of the subtracted light in the whole spectrum."""
    if spectrum.background_modes is None:
        return np.nan
    return float(np.linalg.norm(spectrum.background_modes.sum(axis=0)))


def fitted_offset(spectrum: Spectrum) -> float:
    """Return the fitted offset of the elastic line, eV; NaN without one."""
    return float(spectrum.facts.get("elastic_line", {}).get("offset", np.nan))


def main() -> None:
    """Print one line for each condition, and the sums."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--maps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--amplitude", default="smooth", choices=["smooth", "free"])
    parser.add_argument("--shape", nargs="*", default=list(Shape), type=Shape)
    options = parser.parse_args()
    amplitude = AmplitudeKind(options.amplitude)
    whole: list[FloatArray] = []
    net: dict[Shape, list[Outcome]] = {}
    for condition in (c for shape in options.shape for c in conditions(shape)):
        pfy = preset_regions(condition.edge)[f"{condition.edge.element}_PFY"]
        both = (LightPart.FLUORESCENCE, LightPart.ELASTIC)
        plain = extract(condition, pfy, options.maps, options.seed, *both)
        whole.append(plain.pulls)
        background = (ElasticBackground(amplitude=amplitude),)
        region = Region(
            kind=RegionKind.PFY, emission=pfy.emission, background=background
        )
        outcome = extract(
            condition, region, options.maps, options.seed, LightPart.FLUORESCENCE
        )
        net.setdefault(condition.shape, []).append(outcome)
        setting = (
            f"{condition.edge} {condition.shape}, {condition.fwhm} eV, "
            f"{condition.seconds} s, offset {condition.offset} eV, "
            f"strength {condition.strength}"
        )
        print(f"{setting}: {outcome.line()}", flush=True)
    pulls = np.concatenate([part.ravel() for part in whole])
    print(f"whole PFY: {pulls.size} points, pulls {rms(pulls):.3f}")
    for shape, outcomes in net.items():
        pulls = np.concatenate([outcome.pulls.ravel() for outcome in outcomes])
        biases = [outcome.bias for outcome in outcomes]
        below = sum(abs(bias.value) < LARGEST_BIAS for bias in biases)
        surely = sum(abs(bias.value) + 2 * bias.error < LARGEST_BIAS for bias in biases)
        print(
            f"elastic, {shape}: {pulls.size} points, pulls {rms(pulls):.3f}, "
            f"bias below {LARGEST_BIAS:g} % in {below} of {len(biases)} conditions, "
            f"in {surely} by two standard deviations or more"
        )


if __name__ == "__main__":
    main()
