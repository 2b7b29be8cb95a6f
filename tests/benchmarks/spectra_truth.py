"""Spectra of simulated beamtimes against those of an endless measurement.

The true spectrum is the region's sum over the true map as the detector responds to it:
each used pixel's resolution and tail by its weight, at the position where the energy
scale of its run puts it. Two things are free: one shift per map around each region, and
one factor per spectrum.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from rixs_pipeline import open_product
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import (
    FINE_STEP,
    DetectorResponse,
    apply_response,
    true_map,
)
from tests.core.spectra.builders import make_region

REGIONS = {
    "PFY": {"kind": "pfy", "edge": "Co_L", "emission": [762, 800]},
    "iPFY": {"kind": "ipfy", "edge": "Co_L", "emission": [510, 540]},
    "O_PFY": {"kind": "pfy", "edge": "O_K", "emission": [515, 530]},
    "sPFY": {"kind": "spfy", "edge": "O_K", "emission": [523, 524]},
    "XES": {
        "kind": "xes",
        "edge": "O_K",
        "incident": [530.5, 531.5],
        "emission": [505, 535],
    },
    "Co_XES": {
        "kind": "xes",
        "edge": "Co_L",
        "incident": [779, 783],
        "emission": [740, 795],
    },
}
AROUND = 6.0  # eV beside a region in which its shift is fitted
SHIFTS = np.arange(-1.5, 1.51, 0.1)  # eV


def settings(seed: int, rate: float, pixels: int = 12) -> SimulationSettings:
    """Two samples, two edges, two passes each; a dead, a noisy and a jumping pixel.

    The number of photons is nearly the same at every rate: 600 per point and 2500 in a
    mean pixel's reference run, but no more than a quarter of an hour gives.
    """
    return SimulationSettings(
        seed=seed,
        pixels=pixels,
        rate=rate,
        calibration_rate=rate,
        calibration_duration=min(900, 6600 / rate),
        points=60,
        dwell=min(600 / (2 * pixels * rate), 8.0),
        settle=0.1,
        passes=2,
        edges=("O_K", "Co_L"),
        last_calibration_after=3600.0,
        projector_samples=8,
    )


def few_counts(seed: int) -> SimulationSettings:
    """Many points of 10 to 30 counts in the O K emission of the Co L scans."""
    return settings(seed, 10.0).model_copy(
        update={"edges": ("Co_L",), "points": 240, "dwell": 0.2}
    )


@dataclass(frozen=True)
class Points:
    """Points of a spectrum: value, error, interval, true value, expected counts."""

    kind: str
    rate: float
    value: np.ndarray
    error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    truth: np.ndarray
    expected: np.ndarray

    @property
    def pull(self) -> np.ndarray:
        """(value - truth) / error."""
        return (self.value - self.truth) / self.error

    @property
    def covered(self) -> np.ndarray:
        """Whether the interval holds the truth."""
        return (self.lower <= self.truth) & (self.truth <= self.upper)


def reduce(settings: SimulationSettings, folder: Path, command_line) -> Path:
    """The command line's `extract` on a simulated beamtime, with `REGIONS`."""
    simulate(folder / "beamtime", settings)
    config = folder / "config.yaml"
    config.write_text(json.dumps({"regions": REGIONS}))
    done = command_line(
        "extract", folder / "beamtime", "-c", config, "-o", folder / "out", "-q"
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


def points(settings: SimulationSettings, beamtime: Path, out: Path) -> list[Points]:
    """All points of all spectra."""
    truth = json.loads((beamtime / "truth.json").read_text())
    found = []
    for path in sorted((out / "maps").glob("*.nxs")):
        rixs_map = open_product(path)
        scans = [
            open_product(out / "scans" / f"{name}.nxs")
            for name in json.loads(rixs_map.attrs["scans"])
        ]
        shown = shown_map(settings, rixs_map, pixel_responses(truth, scans))
        for name, how in REGIONS.items():
            if how["edge"] == rixs_map.attrs["edge"]:
                spectrum = open_product(out / "spectra" / path.name)[name]
                found.append(
                    _points(
                        name,
                        settings.rate,
                        make_region(**how),
                        rixs_map,
                        spectrum,
                        shown,
                    )
                )
    return found


def pixel_responses(truth, scans) -> list[tuple[float, DetectorResponse]]:
    """Share of the photons and response of every used pixel."""
    counts: dict[int, int] = {}
    for scan in scans:
        for pixel, n in zip(
            scan["pixel"].values, scan["pixel_counts"].values, strict=True
        ):
            counts[int(pixel)] = counts.get(int(pixel), 0) + int(n)
    total = sum(counts.values())
    pixels = {p["channel"]: p for p in truth["pixels"]}
    responses = []
    for channel, number in counts.items():
        if number > 0:
            pixel = pixels[channel]
            response = DetectorResponse(
                fwhm=pixel["fwhm"],
                tail_fraction=pixel["tail_fraction"],
                tail_length=pixel["tail_length"],
            )
            responses.append((number / total, response))
    return responses


def shown_map(settings, rixs_map, responses):
    """Map as the detector responds to it, as a function of the energy-scale shift.

    The function returns photons/s (point, bin) for an energy scale higher by `shift`,
    eV. The response is a convolution, so that of all pixels together is the mean of
    theirs.
    """
    incident, edges = (
        rixs_map["incident_energy"].values,
        rixs_map["emission_energy_edges"].values,
    )
    fine = np.arange(edges[0] - 2, edges[-1] + 2 + FINE_STEP / 2, FINE_STEP)
    ideal = true_map(
        settings,
        str(rixs_map.attrs["edge"]),
        str(rixs_map.attrs["sample"]),
        incident,
        fine,
    )
    size = len(fine) - 1
    delta = np.zeros((1, size - 1 + size % 2))  # odd: it has a middle
    delta[0, delta.shape[1] // 2] = 1.0
    response = sum(
        share * apply_response(delta, FINE_STEP, pixel_response)
        for share, pixel_response in responses
    )
    density = fftconvolve(ideal, response, mode="same", axes=1)
    cumulative = np.concatenate(
        [np.zeros((len(incident), 1)), np.cumsum(density, axis=1)], axis=1
    )

    def shown(shift):
        return np.diff(
            [np.interp(edges - shift, fine, row) for row in cumulative], axis=1
        )

    return shown


def _points(name, rate, region, rixs_map, spectrum, shown) -> Points:
    incident, edges = (
        rixs_map["incident_energy"].values,
        rixs_map["emission_energy_edges"].values,
    )
    exposure = rixs_map["exposure"].values
    share = region_weights(region, incident, edges)
    around = (region.emission[0] - AROUND, region.emission[1] + AROUND)
    near = region_weights(
        make_region(kind="pfy", incident=region.incident, emission=around),
        incident,
        edges,
    )
    truth = share * shown(_shift(near, rixs_map["counts"].values, exposure, shown))
    if region.kind == "xes":
        taken = share.any(axis=0)
        true = (
            (truth * exposure[:, None]).sum(axis=0)
            / (share * exposure[:, None]).sum(axis=0).clip(1e-300)
        )[taken]
        true = true / np.diff(edges).mean()
    else:
        taken = share.any(axis=1)
        true = truth.sum(axis=1)[taken]
    measured = {
        n: spectrum[n].values
        for n in ("intensity", "intensity_errors", "intensity_lower", "intensity_upper")
    }
    seconds = np.nan_to_num(spectrum["exposure"].values)
    worth = seconds * (np.diff(edges).mean() if region.kind == "xes" else 1.0)
    factor = (
        spectrum["counts"].values[seconds > 0].sum() / (true * worth)[seconds > 0].sum()
    )
    expected = factor * true * worth
    true = 1 / (factor * true) if region.kind == "ipfy" else factor * true
    good = (seconds > 0) & np.isfinite(measured["intensity"])
    return Points(name, rate, *(v[good] for v in (*measured.values(), true, expected)))


def _shift(near, counts, exposure, shown) -> float:
    """Maximum-likelihood shift, eV, from a parabola through the best three."""
    axis = near.any(axis=0)
    number = ((near > 0) * counts).sum(axis=0)[axis]

    def loss(shift):
        mean = ((near > 0) * shown(shift) * exposure[:, None]).sum(axis=0)[axis]
        mean = np.maximum(mean * number.sum() / mean.sum(), 1e-9)
        return (mean - number * np.log(mean)).sum()

    losses = np.array([loss(s) for s in SHIFTS])
    i = int(np.clip(np.argmin(losses), 1, len(SHIFTS) - 2))
    a, b, c = losses[i - 1 : i + 2]
    return float(SHIFTS[i] + 0.5 * (a - c) / (a - 2 * b + c) * (SHIFTS[1] - SHIFTS[0]))
