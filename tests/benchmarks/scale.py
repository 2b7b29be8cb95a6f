"""Energy scale of simulated beamtimes against the truth, photon by photon.

Each good photon of a run has an error, measured - true energy: a Gaussian, the pixel's
resolution, with the tail of its low-energy losses. The energy scale is at the centre of
the Gaussian, so it is fitted, tail included (`peak_fits`), in windows of true energy:
at the reference lines and between them. On synthetic errors of 1.4 eV FWHM the fit is
off by less than 0.01 eV for tail decay lengths from 10 to 30 eV, and by less than 0.04
eV at 3 eV.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from rixs_pipeline import open_product
from rixs_pipeline.core.energy import interpolated_energy
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.interval.gain_jumps import find_gain_jumps, find_jump_times
from rixs_pipeline.stages.interval.pixel_energies import select_pixel_energies
from tests.benchmarks.peak_fits import Model, fit

AT_LINE = 8.0  # eV, half width of a window at a line
BESIDE_LINE = 12.0  # eV, distance from a line to a window between lines
ERRORS = (-15.0, 10.0)  # eV, of the fit
ENOUGH = 30  # fewer photons in a window, or in a pixel there, are not tested


def settings(seed, pixels, rate, fwhm=1.4, counts=None) -> SimulationSettings:
    """A beamtime with every defect: three scans between two reference runs.

    A pixel jumps in the second scan. Arrays of more than 100 pixels have three dead,
    three noisy and four jumping pixels.

    `rate`: counts/s on a mean pixel, in all runs. `counts`: photons in a mean pixel's
    reference line; by default those of a quarter of an hour, but at most 1000.
    """
    share = 6.6  # photons of the reference run for each in a line
    defects = (
        ((5,), (9,), (13,), (7,))
        if pixels <= 100
        else ((5, 101, 201), (9, 55, 77), (13, 113), (15, 151))
    )
    dead, noisy, jumping, scan_jumping = defects
    return SimulationSettings(
        seed=seed,
        pixels=pixels,
        rate=rate,
        calibration_rate=rate,
        fwhm=fwhm,
        points=60,
        dwell=4.0,
        passes=1,
        calibration_duration=share * (counts or min(1000, 900 * rate / share)) / rate,
        last_calibration_after=3600.0,
        edges=("O_K", "Co_L", "Ni_L"),
        samples=({"name": "LMR"},),
        dead_pixels=dead,
        noisy_pixels=noisy,
        jumping_pixels=jumping,
        scan_jumping_pixels=scan_jumping,
        truncated_pixels=(3,),
        event_truth=True,
        projector_samples=8,
    )


@dataclass(frozen=True)
class Photons:
    """Good photons of all used pixels in one run, (event,).

    They have a pixel, a true energy (eV) and its error (eV).
    """

    pixel: np.ndarray
    true: np.ndarray
    error: np.ndarray

    def within(self, low, high) -> "Photons":
        """Those of true energies low to high, eV."""
        take = (self.true > low) & (self.true < high)
        return Photons(self.pixel[take], self.true[take], self.error[take])


class Reduced:
    """A simulated beamtime after the command line's `bin`."""

    def __init__(self, settings, folder: Path, command_line):
        self.settings, self.out = settings, folder / "out"
        simulate(folder / "beamtime", settings)
        done = command_line("bin", folder / "beamtime", "-o", self.out, "-q")
        assert done.returncode == 0, done.stderr
        self.beamtime = discover(folder / "beamtime")
        self.truth = np.load(folder / "beamtime" / "truth.npz")
        self.calibrations = [
            open_product(self.out / "calibration" / f"{run.name}.nxs")
            for run in self.beamtime.calibrations
        ]
        times = find_jump_times(self.beamtime.scans, *self.calibrations)
        self.jumped = {
            pixel: replace(jump, time=times.get(pixel, np.inf))
            for pixel, jump in find_gain_jumps(self.calibrations).items()
        }
        s = settings
        self.bad = {*s.dead_pixels, *s.noisy_pixels}
        self.jumping = {*s.jumping_pixels, *s.scan_jumping_pixels}
        self.healthy = set(s.channels) - self.bad
        self.runs = [
            *self.beamtime.calibrations[:1],
            *self.beamtime.scans,
            *self.beamtime.calibrations[1:],
        ]
        self.functions = {run.name: self._functions(run) for run in self.runs}
        self.photons = {run.name: self._photons(run) for run in self.runs}

    def _functions(self, run):
        """Return the energy function of every pixel.

        For a reference run, it is the function fitted to that run.
        """
        calibrations, jumps = self.calibrations, self.jumped
        if run.kind != "scan":
            calibrations = [c for c in calibrations if c.attrs["run"] == run.name]
            jumps = {}
        return select_pixel_energies(run, calibrations, jumps=jumps)

    def _photons(self, run) -> Photons:
        """The good photons of every pixel that is used, with their errors."""
        start, end = run.start_ns, run.end_ns
        columns, aligned = [], self._alignment(run)
        for path, function in zip(
            run.pulse_files, self.functions[run.name], strict=True
        ):
            if not function.status.is_ok:
                continue
            pulses = off.read_pulses(path, start, end)
            rows = off.record_range(off.open_records(path), start, end)
            true = self.truth[f"energy_chan{pulses.pixel}"][rows]
            good = self.truth[f"good_chan{pulses.pixel}"][rows]
            results = interpolated_energy(
                pulses.pulse_height,
                pulses.pretrigger_mean,
                pulses.phase,
                pulses.time_ns / 1e9,
                function.params,
                function.reference_times,
            )
            results = results * (1 - aligned.get(pulses.pixel, 0.0))
            columns.append(
                (np.full(good.sum(), pulses.pixel), true[good], (results - true)[good])
            )
        return Photons(*(np.concatenate(c) for c in zip(*columns, strict=True)))

    def _alignment(self, run) -> dict[int, float]:
        """Pixel -> its alignment in a scan, by the product of the command line."""
        if run.kind != "scan":
            return {}
        product = open_product(self.out / "scans" / f"{run.name}.nxs")
        return dict(
            zip(
                product["pixel"].values.tolist(),
                product["alignment"].values.tolist(),
                strict=True,
            )
        )

    def used(self, run) -> set[int]:
        """Pixels that count in a run, by the product of the command line."""
        if run.kind != "scan":
            product = open_product(self.out / "calibration" / f"{run.name}.nxs")
            status = product["status"].values
        else:
            product = open_product(self.out / "scans" / f"{run.name}.nxs")
            status = product["pixel_status"].values
        return {
            int(p)
            for p, s in zip(product["pixel"].values, status, strict=True)
            if str(s).startswith("ok")
        }

    def windows(self) -> list[tuple[str, float, float, bool]]:
        """Windows of true energy: name, low, high, whether at a line."""
        lines = dict(
            zip(
                map(str, self.calibrations[0]["line_name"].values),
                self.calibrations[0]["line_energy"].values,
                strict=True,
            )
        )
        at = [(name, e - AT_LINE, e + AT_LINE, True) for name, e in lines.items()]
        names = list(lines)
        between = [
            (f"{a}-{b}", lines[a] + BESIDE_LINE, lines[b] - BESIDE_LINE, False)
            for a, b in pairwise(names)
        ]
        return at + between


@dataclass(frozen=True)
class Place:
    """Bias of the energy scale of the summed pixels in a run and window, eV."""

    run: str
    window: str
    at_line: bool
    bias: float
    bias_error: float  # standard error of the mean over the pixels
    pixels: int  # with enough photons for a separate fit
    rms: float  # of their positions around the mean
    counting: float  # part of it due to counting statistics

    @property
    def added(self) -> float:
        """Scatter beyond 1.1 times the counting statistics, in quadrature, eV."""
        return float(np.sqrt(max(self.rms**2 - (1.1 * self.counting) ** 2, 0.0)))

    def beyond(self) -> list[str]:
        """Report missed limits."""
        from scipy.stats import chi2

        limit, missed = 0.1 if self.at_line else 0.2, []
        if abs(self.bias) > limit + 2 * self.bias_error:
            missed.append(
                f"{self.run} {self.window}: "
                f"bias {self.bias:+.3f} +- {self.bias_error:.3f} eV"
            )
        chance = (
            chi2.ppf(0.975, self.pixels - 1) / (self.pixels - 1)
            if self.pixels > 1
            else np.inf
        )
        if self.rms**2 > chance * (0.2**2 + (1.1 * self.counting) ** 2):
            missed.append(
                f"{self.run} {self.window}: {self.rms:.2f} eV rms "
                f"over {self.pixels} pixels, counting {self.counting:.2f}"
            )
        return missed


def places(reduced: Reduced) -> list[Place]:
    """Energy scale in both reference runs and in the first and the last scan."""
    scans = reduced.beamtime.scans
    results = []
    for run in (reduced.runs[0], scans[0], scans[-1], reduced.runs[-1]):
        for name, low, high, at_line in reduced.windows():
            here = reduced.photons[run.name].within(low, high)
            if len(here.error) >= 2 * ENOUGH:
                results.append(
                    _place(reduced, run, name, at_line, here, (low + high) / 2)
                )
    return results


def _place(reduced, run, name, at_line, here, energy) -> Place:
    pooled = fit(here.error, ERRORS, sigma=reduced.settings.fwhm / 2.355)
    pixels, counts, location, error = locations(here, pooled)
    n, weight = len(pixels), counts / counts.sum()
    bias_error = np.sqrt(
        n / max(n - 1, 1) * (weight**2 * (location - pooled.position) ** 2).sum()
    )
    enough = counts >= ENOUGH
    calibration = calibration_errors(reduced, run, energy)
    counting = (
        error[enough] ** 2 + np.array([calibration[p] for p in pixels[enough]]) ** 2
    )
    rms = np.std(location[enough], ddof=1) if enough.sum() > 1 else np.nan
    return Place(
        run.name,
        name,
        at_line,
        pooled.position,
        float(bias_error),
        int(enough.sum()),
        float(rms),
        float(np.sqrt(counting.mean())) if enough.any() else np.nan,
    )


def locations(photons: Photons, pooled):
    """Pixels, their photons, and the positions of their errors with standard errors.

    Each position is a shift of the pooled fit's shape.

    Fisher scoring with the shape's information is as good as a fit of each pixel, and
    works for any number of photons.
    """
    model = Model((-40, 20))
    theta = np.array([0.0, np.log(pooled.fwhm / 2.355), 0.0, pooled.tail, 1e-5])
    density, slopes = model(theta)
    score, centres = slopes[0] / density, (model.edges[1:] + model.edges[:-1]) / 2
    inside = (photons.error > ERRORS[0]) & (photons.error < ERRORS[1])
    pixels, row = np.unique(photons.pixel[inside], return_inverse=True)
    counts, error = np.bincount(row), photons.error[inside]
    information = (score**2 * density).sum() * counts
    location = np.full(len(pixels), pooled.position)
    for _ in range(20):
        step = (
            np.bincount(row, np.interp(error - location[row], centres, score))
            / information
        )
        location += np.clip(step, -0.5, 0.5)
    return pixels, counts, location, information**-0.5


def calibration_errors(reduced, run, energy) -> dict[int, float]:
    """Energy-scale error per pixel from counting statistics of the reference runs, eV.

    It holds for a run at `energy`, eV.
    Errors of the line positions are interpolated linearly in energy; those of two
    reference runs are weighted by their shares.
    """
    time = run.middle
    result = {}
    for path, function in zip(
        run.pulse_files, reduced.functions[run.name], strict=True
    ):
        if not function.status.is_ok:
            continue
        pixel, (first, second) = off.pixel_number(path), function.reference_times
        late = (
            np.clip((time - first) / (second - first), 0, 1) if second > first else 0.0
        )
        variance = 0.0
        for params, share in zip(function.params, (1 - late, late), strict=True):
            for calibration in reduced.calibrations:
                row = list(calibration["pixel"].values).index(pixel)
                if np.array_equal(
                    calibration["params"].values[row], params, equal_nan=True
                ):
                    errors = calibration["line_residual_errors"].values[row]
                    known = np.isfinite(errors)
                    lines = calibration["line_energy"].values[known]
                    variance += share**2 * np.interp(energy, lines, errors[known] ** 2)
                    break
        result[pixel] = float(np.sqrt(variance))
    return result


@dataclass(frozen=True)
class Resolution:
    """FWHM of the errors at all lines of a reference run together, eV.

    `total`: of the sum of the pixels. `aligned`: of the sum with every pixel shifted to
    the truth at every line. `median`: of the median pixel, its lines shifted likewise.
    `counting`: rms shift of the lines due to counting statistics.
    """

    run: str
    total: float
    aligned: float
    median: float
    total_error: float
    median_error: float  # of the median of so many pixels, with their spread
    counting: float

    def beyond(self, few_counts=False) -> list[str]:
        """Report a sum more than 5 % wider than the median pixel or the aligned sum.

        The excess has to exceed two standard errors.

        `few_counts`: whether to allow for counting statistics, in quadrature.
        """
        missed, moved = [], 1.1 * 2.355 * self.counting * few_counts
        for against, error in (
            (self.median, self.median_error),
            (self.aligned, self.total_error),
        ):
            if self.total > np.hypot(1.05 * against, moved) + 2 * np.hypot(
                self.total_error, error
            ):
                missed.append(
                    f"{self.run}: the sum has {self.total:.3f} eV FWHM, "
                    f"{against:.3f} +- {error:.3f} alone"
                )
        return missed


def resolutions(reduced: Reduced) -> list[Resolution]:
    """Of the two reference runs."""
    return [_resolution(reduced, run) for run in (reduced.runs[0], reduced.runs[-1])]


def _resolution(reduced, run) -> Resolution:
    sigma, pixel, raw, moved, counting = reduced.settings.fwhm / 2.355, [], [], [], []
    for _, low, high, at_line in reduced.windows():
        here = reduced.photons[run.name].within(low, high)
        if at_line and len(here.error):
            pixels, _, location, _ = locations(
                here, fit(here.error, ERRORS, sigma=sigma)
            )
            known = np.isin(here.pixel, pixels)
            raw.append(here.error[known])
            pixel.append(here.pixel[known])
            moved.append(location[np.searchsorted(pixels, here.pixel[known])])
            allowed = calibration_errors(reduced, run, (low + high) / 2)
            counting += [allowed[p] for p in pixels]
    pixel, raw, moved = (np.concatenate(column) for column in (pixel, raw, moved))
    total, aligned = (fit(errors, ERRORS, sigma=sigma) for errors in (raw, raw - moved))
    own = np.array(
        [
            fit((raw - moved)[pixel == p], ERRORS, sigma=sigma).fwhm
            for p in np.unique(pixel)
        ]
    )
    median_error = 1.25 * np.nanstd(own, ddof=1) / np.sqrt(len(own))
    return Resolution(
        run.name,
        total.fwhm,
        aligned.fwhm,
        float(np.nanmedian(own)),
        total.fwhm_error,
        float(median_error),
        float(np.sqrt(np.mean(np.square(counting)))),
    )


def lost(reduced: Reduced) -> set[int]:
    """Healthy pixels that are not used in one of the runs."""
    return {
        pixel for run in reduced.runs for pixel in reduced.healthy - reduced.used(run)
    }


def flaws(reduced: Reduced) -> list[str]:
    """Report wrong pixel status, gain jumps missed or not split, misassigned pixels."""
    s, missed = reduced.settings, []
    for calibration in reduced.calibrations:
        status = dict(
            zip(
                calibration["pixel"].values.tolist(),
                map(str, calibration["status"].values),
                strict=True,
            )
        )
        for reason, pixels in (("dead", s.dead_pixels), ("noisy", s.noisy_pixels)):
            missed += [
                f"{calibration.attrs['run']}: pixel {p} is {reason}, but '{status[p]}'"
                for p in pixels
                if not status[p].startswith(reason)
            ]
    for run in reduced.beamtime.scans:
        missed += [
            f"{run.name}: bad pixel {p} is used"
            for p in reduced.used(run) & reduced.bad
        ]
    known = {
        p
        for p in reduced.jumping
        if all(p in reduced.used(run) for run in (reduced.runs[0], reduced.runs[-1]))
    }
    if set(reduced.jumped) != known:
        missed.append(f"jumped: {sorted(known)}, found: {sorted(reduced.jumped)}")
    return missed + _not_where_they_belong(reduced)


def _not_where_they_belong(reduced) -> list[str]:
    """Report pixels with wrong energies: misassigned, or a gain jump misplaced."""
    missed = []
    for run in reduced.runs:
        photons = reduced.photons[run.name]
        for pixel in np.unique(photons.pixel):
            far = (
                np.abs(photons.error[photons.pixel == pixel]) > 8
            )  # of the tail, 7 to 15 % stand so far away
            if far.mean() > 0.3:
                missed.append(
                    f"{run.name}: {far.mean():.0%} of pixel {pixel}'s photons "
                    "are 8 eV off or more"
                )
    return missed
