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
from rixs_pipeline.core.spectra.yields import extract_spectrum
from rixs_pipeline.simulate.emission import LightPart
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import DetectorResponse, true_map
from rixs_pipeline.types import Edge, FloatArray

POINTS = 60  # of a scan
TAIL_FRACTION, TAIL_LENGTH = 0.16, 20.0
EDGES = np.arange(480.0, 920.1, 0.5)  # of the emission bins, eV
BRIGHT = 0.6  # of the highest fluorescence: the white line
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
    """Pulls and yields (map, point) of one condition."""

    pulls: FloatArray
    intensity: FloatArray
    truth: FloatArray

    def line(self) -> str:
        """Return the figures in one line."""
        bright = self.truth > BRIGHT * self.truth.max()
        bias = self.intensity.mean(axis=0) - self.truth
        peak = bias[bright].sum() / self.truth[bright].sum()
        in_errors = np.abs(self.pulls[:, bright].mean())
        return (
            f"{self.pulls.size:5d} points, pulls {np.sqrt((self.pulls**2).mean()):.3f} "
            f"mean {self.pulls.mean():+.3f}, "
            f"bias {100 * bias.sum() / self.truth.sum():+.2f} %, "
            f"white line {100 * peak:+.2f} % = {in_errors:.2f} errors, "
            f"pulls {np.sqrt((self.pulls[:, bright] ** 2).mean()):.3f}"
        )


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
    pulls, intensities = [], []
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
        spectrum = extract_spectrum(data, region)
        pulls.append((spectrum.intensity - truth) / spectrum.intensity_errors)
        intensities.append(spectrum.intensity)
    return Outcome(np.array(pulls), np.array(intensities), truth)


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
    net: dict[Shape, list[FloatArray]] = {}
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
        net.setdefault(condition.shape, []).append(outcome.pulls)
        print(f"{condition}: {outcome.line()}", flush=True)
    pulls = np.concatenate([part.ravel() for part in whole])
    print(f"whole PFY: {pulls.size} points, pulls {np.sqrt((pulls**2).mean()):.3f}")
    for shape, parts in net.items():
        pulls = np.concatenate([part.ravel() for part in parts])
        rms = np.sqrt((pulls**2).mean())
        print(f"elastic, {shape}: {pulls.size} points, pulls {rms:.3f}")


if __name__ == "__main__":
    main()
