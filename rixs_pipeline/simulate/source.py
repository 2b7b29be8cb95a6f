"""The photons that leave the sample in a run, ready to draw from."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.simulate.emission import (
    EMISSION_GRID,
    ElasticLight,
    intensity,
    reference_density,
    reference_grid,
)
from rixs_pipeline.simulate.schedule import PlannedRun, add_readings, plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import FloatArray, IntArray


@dataclass(frozen=True)
class PhotonSource:
    """The emission spectra of the points of a run.

    Attributes
    ----------
    energy
        Evenly spaced emission energies, f8 (energy,), eV.
    yields
        Photons of each point at rate 1 and beam 1, f8 (point,).
    cumulative
        Cumulative share of a point's photons, 0 to 1, plus the index of the point, f8
        (point, energy): the whole table ascends, so that one search serves all points.
    """

    energy: FloatArray
    yields: FloatArray
    cumulative: FloatArray

    def draw(self, point: IntArray, rng: np.random.Generator) -> FloatArray:
        """Draw photons: the inverse of the cumulative share.

        Parameters
        ----------
        point
            Index of the point of each photon, (photon,).
        rng
            Source of the random numbers.

        Returns
        -------
        ndarray
            Energies of the photons, f8 (photon,), eV.
        """
        table = self.cumulative.ravel()
        value = point + rng.random(len(point))
        below = np.searchsorted(table, value, side="right") - 1
        share = (value - table[below]) / (table[below + 1] - table[below])
        step = self.energy[1] - self.energy[0]
        first = point * self.cumulative.shape[1]
        return np.asarray(self.energy[below - first] + share * step)

    def binned(self, edges: FloatArray) -> FloatArray:
        """Return photons at rate 1 and beam 1 in bins of emission energy.

        f8 (point, bin); `edges` f8 (bin + 1,), eV, ascending.
        """
        shares = [
            np.diff(np.interp(edges, self.energy, row)) for row in self.cumulative
        ]
        return np.asarray(self.yields[:, None] * np.stack(shares))


@dataclass(frozen=True)
class Measurement:
    """A run and the photons that leave the sample in it."""

    run: PlannedRun
    source: PhotonSource


def photon_source(energy: FloatArray, density: FloatArray) -> PhotonSource:
    """Return the source of given emission spectra.

    Parameters
    ----------
    energy
        Evenly spaced emission energies, f8 (energy,), eV.
    density
        Photons per eV, f8 (point, energy); linear between the energies.

    Returns
    -------
    PhotonSource
        The source.
    """
    step = energy[1] - energy[0]
    areas = 0.5 * step * (density[:, 1:] + density[:, :-1])
    start = np.zeros((len(density), 1))
    cumulative = np.concatenate([start, np.cumsum(areas, axis=1)], axis=1)
    yields = cumulative[:, -1]
    point = np.arange(len(density))[:, None]
    total = np.where(yields > 0, yields, 1.0)
    return PhotonSource(energy, yields, cumulative / total[:, None] + point)


def source_of_run(settings: SimulationSettings, run: PlannedRun) -> PhotonSource:
    """Return the source of a run's photons.

    Parameters
    ----------
    settings
        Settings of the beamtime.
    run
        A scan or reference run; in the last reference run the monochromator has
        slipped.

    Returns
    -------
    PhotonSource
        Spectra of all points of the run.
    """
    if run.sample is not None and run.edge is not None:
        density = intensity(
            run.energy + settings.incident_offset,
            EMISSION_GRID,
            run.edge,
            run.sample,
            elastic=ElasticLight(settings.elastic, settings.elastic_resonance),
        )
        return photon_source(EMISSION_GRID, density)
    parked_energy = settings.parked_energy
    is_first_run = run.number == 0
    if not is_first_run:
        parked_energy += settings.monochromator_slip
    names = settings.lines + settings.contaminants
    grid = reference_grid(names, parked_energy)
    density = reference_density(
        grid, settings.lines, settings.contaminants, parked_energy
    )
    return photon_source(grid, density[None, :])


def plan_measurements(settings: SimulationSettings) -> list[Measurement]:
    """Plan all runs; scans of the same sample, edge and points share their source."""
    sources: dict[tuple[str | None, str, int], PhotonSource] = {}
    measurements = []
    for run in plan_runs(settings):
        name = run.sample.name if run.sample else str(run.number)
        key = (run.edge, name, len(run.energy))
        if key not in sources:
            sources[key] = source_of_run(settings, run)
        source = sources[key]
        run_with_readings = add_readings(run, source.yields, settings.seed)
        measurements.append(Measurement(run_with_readings, source))
    return measurements
