"""Correct the energy scales of scans for the drift that the array has in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.drift.common_drift.fit import (
    CommonDrift,
    ScaleStep,
    fit_common_drift,
)
from rixs_pipeline.core.drift.common_drift.measurements import (
    REFERENCE_EV,
    HiddenDrift,
    Interval,
)
from rixs_pipeline.core.drift.common_drift.piece_shifts import PieceShifts
from rixs_pipeline.core.drift.pixel_comparison.piece_gains import (
    PieceGains,
    find_group_steps,
)
from rixs_pipeline.core.energy import layout
from rixs_pipeline.io.formats import off
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.run_drift import (
    RunDrift,
    find_runs,
    reference_shifts,
)
from rixs_pipeline.stages.interval.sample_lines import MeasuredLines, line_positions
from rixs_pipeline.types import FloatArray

FORM_CURVATURE = 0.25  # makes a tenth of a drift at O Ka
SHOWN_PIXELS = 16  # that step by another amount than the others
N_CURVE_MODES = 8  # of a curve through half a dozen lines


@dataclass(frozen=True)
class ScaleErrors:
    """Errors of an energy scale as a sum of independent ones.

    Attributes
    ----------
    energy
        f8 (energy,), eV.
    modes
        One standard deviation of each independent error, f8 (mode, energy), eV.
    names
        Of the modes, (mode,): errors of one name are the same in all products.
    """

    energy: FloatArray
    modes: FloatArray
    names: tuple[str, ...]

    @cached_property
    def total(self) -> FloatArray:
        """One standard deviation of the scale, (energy,), eV."""
        return np.asarray(np.sqrt((self.modes**2).sum(axis=0)))

    def at(self, energies: FloatArray) -> FloatArray:
        """Return one standard deviation of the scale at other energies, eV."""
        return np.asarray(np.interp(energies, self.energy, self.total))


class LinePosition(NamedTuple):
    """Position of a line in a scan, and its statistical error, eV."""

    position: float
    error: float


@dataclass(frozen=True)
class ScanScale:
    """How the energy scale of a scan was corrected, and its error.

    Attributes
    ----------
    drift, gain
        What makes the energies: each reference run gets the mean drift coefficients
        `drift`, f8 (2,), and energies are multiplied by 1 - `gain`.
    coefficients, coefficient_errors
        Change of the drift coefficients of the calibration, relative a unit of
        pretrigger mean at 1000 eV, and how it grows with pulse height, f8 (2,).
    shift, shift_error
        What was added to the energies at `REFERENCE_EV`, and its standard deviation,
        eV.
    hidden_size
        Rms at `REFERENCE_EV` of the hidden drift, eV: learned, or as stated.
    lines
        Name -> position and its statistical error in this scan, eV.
    errors
        Of the corrected scale.
    is_applied
        Whether the scale was corrected.
    steps
        A line for each step of the pixels' mean scale that this scan is the first to
        show.
    """

    drift: FloatArray
    gain: float
    coefficients: FloatArray
    coefficient_errors: FloatArray
    shift: float
    shift_error: float
    hidden_size: float
    lines: Mapping[str, LinePosition]
    errors: ScaleErrors
    is_applied: bool = True
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class IntervalScales:
    """The common drift of the scans of an interval.

    Attributes
    ----------
    scans
        The scans.
    runs
        The reference runs.
    drift
        As fitted.
    positions
        Of the lines of the samples.
    energies
        At which levers are given, f8 (energy,), eV.
    memo
        Shifts of lines that are measured already; more are added.
    is_applied
        Whether scales are corrected; otherwise errors include what was not corrected.
    """

    scans: Sequence[ArraySpectra]
    runs: Sequence[RunDrift]
    drift: CommonDrift
    positions: MeasuredLines
    energies: FloatArray
    is_applied: bool

    def correct(
        self, row: int, energies: tuple[PixelEnergy, ...]
    ) -> tuple[PixelEnergy, ...]:
        """Return the energy functions of the scan in a row, corrected.

        Parameters
        ----------
        row
            Of the scan.
        energies
            Energy functions of its pixels, aligned with each other.

        Returns
        -------
        tuple of PixelEnergy
            With other drift coefficients and scaled curves.
        """
        if not self.is_applied:
            return energies
        spectra = self.scans[row]
        step = {
            run.run: self.drift.coefficients - run.drift.in_use for run in self.runs
        }
        rows, steps = [], []
        for place, energy in enumerate(energies):
            pixel = off.pixel_number(spectra.scan.pulse_files[place])
            sides = find_runs(pixel, energy, self.runs)
            if sides is not None:
                rows.append(place)
                steps.append([step[sides.early.run], step[sides.late.run]])
        if not rows:
            return energies
        of_sides = np.array(steps)  # (pixel, side, 2)
        relative_lever = spectra.pixel_lever[rows] - spectra.lever.mean(axis=0)
        change = relative_lever @ of_sides.mean(axis=1)[..., None]
        aligned_share = np.array([_aligned_share(energies[place]) for place in rows])
        extra = aligned_share * _relative(change[..., 0], self.energies)
        params = np.array([energies[place].params for place in rows])
        params[..., layout.DRIFT] += of_sides
        factor = (1 - self._gain(row)) * (1 - extra)
        params[..., layout.CURVE] *= factor[:, None, None]
        corrected = list(energies)
        for place, (early, late), of_pixel in zip(
            rows, params, extra.tolist(), strict=True
        ):
            energy = energies[place]
            # both gains as one
            alignment = 1 - (1 - energy.alignment) * (1 - of_pixel)
            corrected[place] = replace(
                energy, params=(early, late), alignment=alignment
            )
        return tuple(corrected)

    def _gain(self, row: int) -> float:
        """Return the relative gain that removes the hidden drift of a scan."""
        return float(self.drift.scale[row]) / REFERENCE_EV

    def scale(self, row: int) -> ScanScale:
        """Return how the scale of the scan in a row is corrected, and its error."""
        spectra = self.scans[row]
        n_photons = spectra.counts.sum(axis=1)
        weight = n_photons / max(n_photons.sum(), 1e-12)
        lever = np.einsum("p,peo->eo", weight, spectra.lever)
        in_use = weight @ spectra.in_use
        step = self.drift.coefficients - in_use
        hidden = self.energies / REFERENCE_EV
        correction = lever @ step - hidden * self.drift.scale[row]
        values, vectors = np.linalg.eigh(_whitened(self.drift.covariance))
        size = np.sqrt(np.diag(self.drift.covariance))
        roots = size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
        modes = lever @ roots[:2] - hidden[:, None] * roots[2 + row]
        names = [f"{self._name} {number}" for number in range(len(roots))]
        parts = [modes.T]
        if not self.is_applied:
            parts.append(correction[None, :])
            names.append(f"{spectra.scan.name} not corrected")
        shared = self._shared_modes()
        parts.append(shared)
        names += [f"{self.runs[0].run} curve {number}" for number in range(len(shared))]
        if len(self.runs) == 2 and all(len(run.line_energy) for run in self.runs):
            # from the first to the second run
            first, second = self.runs
            at_lines = np.interp(
                first.line_energy, second.line_energy, second.line_errors
            )
            difference = np.hypot(first.line_errors, at_lines)
            lines = _line_modes(first.line_energy, difference, self.energies)
            parts.append((spectra.later_share - 0.5) * lines)
            names += [
                f"{self.runs[1].run} line {number}" for number in range(len(lines))
            ]
        if spectra.split:  # which group of pixels is right is not known
            parts.append(spectra.split * self.energies[None, :])
            names.append(f"{self.runs[0].run} groups of pixels")
        parts.append(self._form_modes(row))
        names += ["form of the drift", f"{spectra.scan.name} step within it"]
        parts.append(self._missed_lines(spectra.later_share)[None, :])
        names.append("+".join(run.run for run in self.runs) + " residuals of lines")
        errors = ScaleErrors(self.energies, np.concatenate(parts), tuple(names))
        of_drift = np.sqrt((modes**2).sum(axis=1))
        reference = np.array([REFERENCE_EV])
        return ScanScale(
            drift=self.drift.coefficients,
            gain=self._gain(row),
            coefficients=step,
            coefficient_errors=size[:2],
            shift=float(np.interp(reference, self.energies, correction)[0]),
            shift_error=float(np.interp(reference, self.energies, of_drift)[0]),
            hidden_size=self.drift.hidden_size,
            lines=self._lines(row),
            errors=errors,
            is_applied=self.is_applied,
            steps=self._steps(row),
        )

    def _form_modes(self, row: int) -> FloatArray:
        """Return the errors of the drift's form, and of steps within the scan.

        They are (2, energy), eV. A drift in proportion to the pulse height differs by a
        tenth at O Ka from one in proportion to the energy. Before and after a step
        within the scan, its energies are off by what the mean correction leaves.
        """
        hidden = self.energies / REFERENCE_EV
        form = FORM_CURVATURE * self.drift.scale[row] * hidden * (1 - hidden)
        variance = 0.0
        for step in self.drift.steps:
            share = float((self.scans[row].time > step.begin).mean())
            variance += step.size**2 * share * (1 - share)
        return np.stack([form, np.sqrt(variance) * hidden])

    def _steps(self, row: int) -> tuple[str, ...]:
        """Return a line for each step that the scan in a row is the first to show."""
        lines = []
        for step in self.drift.steps:
            after = [
                number
                for number, spectra in enumerate(self.scans)
                if spectra.time.max() > step.begin
            ]
            if row == (after[0] if after else len(self.scans) - 1):
                lines.append(self._describe_step(step, row))
        return tuple(lines)

    def _describe_step(self, step: ScaleStep, row: int) -> str:
        """Return what a step of the scale is, and what was done."""
        spectra = self.scans[row]
        name = spectra.scan.name
        place = "before the scan"
        advice = "corrected (`calibration.scan_drift`)"
        if not self.is_applied:
            advice = "not corrected (`calibration.scan_drift`)"
        if step.begin > spectra.time.max():
            place = "after the scan"
        elif step.begin > spectra.time.min():
            place = "within the scan"
            advice = "its energies are off before and after by up to this; leave it out"
        returns = [
            later.scan.name for later in self.scans if later.time.min() > step.end
        ]
        possible = [
            one.scan.name
            for one in self.scans
            if step.earliest < one.time.min() and one.time.max() < step.latest
        ]
        if possible:
            advice += f"; it may also be before or after any of {', '.join(possible)}"
        back = ""
        if np.isfinite(step.end):
            back = f" and back before {returns[0] if returns else self.runs[-1].run}"
        return (
            f"{name}: the {self._describe_size(step, row)} (at {REFERENCE_EV:.0f} eV) "
            f"{place}{back}; {advice}"
        )

    def _describe_size(self, step: ScaleStep, row: int) -> str:
        """Return by how much a step moves the scale, or those of groups of pixels.

        Before and after a scan pixels are aligned with each other: their mean steps.
        """
        spectra = self.scans[row]
        is_after = spectra.time > step.begin
        groups = None
        if is_after.any() and not is_after.all():
            gains = PieceGains(spectra.piece_gain, spectra.piece_gain_error)
            groups = find_group_steps(gains, is_after)
        if groups is None:
            return (
                f"mean energy scale of the pixels steps by {step.size:+.2f} +- "
                f"{step.error:.2f} eV"
            )
        steps = [
            (step.size + REFERENCE_EV * gain, np.flatnonzero(members))
            for gain, members in (
                (groups.above, groups.is_above),
                (groups.below, groups.is_below),
            )
        ]
        steps.sort(key=lambda group: -abs(group[0]))
        (size, members), (other_size, others) = steps
        files = spectra.scan.pulse_files
        pixels = sorted(off.pixel_number(files[place]) for place in members)
        names = ", ".join(map(str, pixels[:SHOWN_PIXELS]))
        more = ", ..." if len(pixels) > SHOWN_PIXELS else ""
        return (
            f"energy scale of {len(members)} pixels ({names}{more}) steps by "
            f"{size:+.1f} eV, that of the other {len(others)} by {other_size:+.1f} eV"
        )

    def _missed_lines(self, later_share: float) -> FloatArray:
        """Return how far the curves miss the reference lines, (energy,), eV.

        Where the lines contradict each other, either they or the curves are wrong.
        """
        missed = [
            np.interp(self.energies, run.line_energy, run.line_residual)
            if len(run.line_energy)
            else np.zeros(len(self.energies))
            for run in self.runs
        ]
        return np.asarray(missed[0] + later_share * (missed[-1] - missed[0]))

    def _lines(self, row: int) -> dict[str, LinePosition]:
        """Return the positions of the lines in the scan in a row, as corrected."""
        lines = self.positions.positions
        names = np.array(self.positions.names)
        corrected = lines.energy + lines.shift
        if self.is_applied:
            step = self.drift.coefficients - lines.in_use
            corrected = corrected + (lines.lever * step).sum(axis=1)
            hidden = self.drift.scale[lines.scan]
            corrected = corrected - lines.energy / REFERENCE_EV * hidden
        results = {}
        for name in dict.fromkeys(self.positions.names):
            chosen = (names == name) & (lines.scan == row)
            if chosen.any():
                weight = lines.error[chosen] ** -2
                mean = float(np.average(corrected[chosen], weights=weight))
                results[name] = LinePosition(mean, float(weight.sum() ** -0.5))
        return results

    @property
    def _name(self) -> str:
        """A name of the errors that the scans share."""
        scans = [spectra.scan.name for spectra in self.scans]
        runs = "+".join(run.run for run in self.runs)
        return f"drift {runs} {scans[0]}-{scans[-1]} ({len(scans)})"

    def _shared_modes(self) -> FloatArray:
        """Return the errors of the mean curve that all scans share, (mode, energy)."""
        covariance = np.mean([run.covariance for run in self.runs], axis=0)
        if len(self.runs) == 2:
            # counting statistics of two runs; between the lines they err alike
            for run in self.runs:
                lines = _line_modes(run.line_energy, run.line_errors, self.energies)
                covariance = covariance - lines.T @ lines / 4
        values, vectors = np.linalg.eigh(covariance)
        chosen = np.argsort(values)[::-1][:N_CURVE_MODES]
        size = np.sqrt(np.maximum(values[chosen], 0.0))
        return np.asarray(size[:, None] * vectors.T[chosen])


def fit_interval(
    scans: Sequence[ArraySpectra],
    runs: Sequence[RunDrift],
    lines: Mapping[str, float],
    edges: FloatArray,
    energies: FloatArray,
    memo: dict[tuple[object, ...], PieceShifts],
    *,
    hidden_drift: HiddenDrift | None,
    is_applied: bool,
) -> IntervalScales:
    """Fit the common drift of the scans of an interval.

    Parameters
    ----------
    scans
        The scans, in order of time.
    runs
        One or two reference runs around them.
    lines
        Name -> energy of the lines that samples may emit, eV.
    edges
        Of the bins of the spectra, f8 (bin + 1,), eV.
    energies
        At which levers are given, f8 (energy,), eV.
    memo
        Shifts of lines that are measured already; more are added.
    hidden_drift
        Of all pixels, if it is known; None: to be learned.
    is_applied
        Whether scales are corrected.

    Returns
    -------
    IntervalScales
        Of these scans.
    """
    measured = line_positions(scans, lines, edges, energies, memo)
    shifts = None
    if len(runs) == 2:
        shifts = reference_shifts(runs[0], runs[1], energies)
    n_pixels = min(len(run.params) for run in runs)
    own_variances = [spectra.own_variance for spectra in scans]
    variance = max(float(np.mean(own_variances)), 0.0)
    interval = Interval(
        time=np.array([spectra.scan.middle for spectra in scans]),
        later_share=np.array([spectra.later_share for spectra in scans]),
        references=tuple(run.drift for run in runs),
        shifts=shifts,
        pixel_drift=REFERENCE_EV * math.sqrt(variance / max(n_pixels, 1)),
        hidden_drift=hidden_drift,
    )
    drift = fit_common_drift(measured.positions, interval)
    return IntervalScales(scans, runs, drift, measured, energies, is_applied)


def _whitened(covariance: FloatArray) -> FloatArray:
    """Return a covariance as correlations: the units of its variables differ."""
    size = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / size[:, None] / size[None, :])


def _aligned_share(energy: PixelEnergy) -> float:
    """Return the share of a measured misalignment that was corrected."""
    if not energy.misalignment or not math.isfinite(energy.misalignment):
        return 0.0
    return min(max(energy.alignment / energy.misalignment, 0.0), 1.0)


def _relative(change: FloatArray, energies: FloatArray) -> FloatArray:
    """Return the relative changes (pixel,) closest to changes (pixel, energy), eV."""
    return np.asarray(change @ energies / (energies @ energies))


def _line_modes(
    line_energy: FloatArray, errors: FloatArray, energies: FloatArray
) -> FloatArray:
    """Return errors of lines, interpolated between them, (line, energy), eV."""
    modes = np.zeros((len(line_energy), len(energies)))  # none without lines
    for line, row in enumerate(np.diag(errors)):
        modes[line] = np.interp(energies, line_energy, row)
    return modes
