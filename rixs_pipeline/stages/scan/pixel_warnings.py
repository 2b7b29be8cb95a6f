"""What a user should know about the pixels of a scan: warnings and corrections."""

from __future__ import annotations

import numpy as np

from rixs_pipeline.core.maps.live_time import EffectiveLiveTime
from rixs_pipeline.core.maps.pixel_shares import ShareChange, find_share_changes
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.types import BoolArray, Correction, IntArray, PixelState

# Of the exposed pixels: where more change, the others may be the wrong ones.
LARGEST_MINORITY = 1 / 3


def pixel_warnings(
    counted: CountedScan, live: EffectiveLiveTime, is_point_used: BoolArray
) -> list[str]:
    """Return the warnings about the pixels of a scan.

    Parameters
    ----------
    counted
        The scan with its counts.
    live
        Live time of its pixels.
    is_point_used
        Which points are used, (point,).

    Returns
    -------
    list of str
        One line each.
    """
    return [
        *_silent_pixels(counted, live),
        *_changed_shares(counted, live, is_point_used),
        *_pixels_with_jumping_baseline(counted),
        *_displaced_pixels(counted),
    ]


def few_pixels_warning(counted: CountedScan, number: int | None) -> list[str]:
    """Return a line if fewer pixels are used than `map.best_pixels` requests.

    Parameters
    ----------
    counted
        The scan with its counts.
    number
        Of pixels that are requested; None: all.

    Returns
    -------
    list of str
        At most one.
    """
    scan, n_used = counted.scan, int(counted.is_used.sum())
    if number is None or scan.photon_list or n_used >= number:
        return []
    return [
        f"{scan.name}: only {n_used} pixels are ok at {scan.edge}, `map.best_pixels` "
        f"requests {number}; all of them used"
    ]


def baseline_corrections(counted: CountedScan) -> list[Correction]:
    """Return the corrections of the live time of pixels whose baseline was away."""
    counts = counted.counts
    seconds = counts.away_time.sum(axis=1)
    return [
        Correction(
            name="live time while the baseline is away",
            subject=f"{counted.scan.name}: pixel {counts.pixel[row]}",
            value=-float(seconds[row]),
            error=float(counts.away_error[row]),
            unit="s",
            config="calibration.baseline_jumps",
        )
        for row in np.flatnonzero((seconds > 0) & counted.is_used)
    ]


def _silent_pixels(counted: CountedScan, live: EffectiveLiveTime) -> list[str]:
    """Return the warnings about pixels without pulses in a part or all of a scan."""
    scan, counts = counted.scan, counted.counts
    has_time = scan.points.duration > 0
    is_silent = (live.seconds == 0) & (counts.triggers == 0) & has_time
    is_silent &= counted.is_used[:, None]
    warnings = []
    for row in np.flatnonzero(is_silent.any(axis=1)):
        share = f"{is_silent[row].sum()} of {len(scan.points)} points"
        problem = f"pixel {counts.pixel[row]} has no pulses at {share}"
        warnings.append(f"{scan.name}: {problem}; its exposure there is 0")
    silent = [
        str(pixel)
        for pixel, energy in zip(counts.pixel, counted.energies, strict=True)
        if energy.status.state is PixelState.SILENT
    ]
    if silent:
        problem = f"no pulses from pixel {', '.join(silent)}"
        warnings.append(f"{scan.name}: {problem}; not used in this scan")
    return warnings


def _changed_shares(
    counted: CountedScan, live: EffectiveLiveTime, is_point_used: BoolArray
) -> list[str]:
    """Return the warning about pixels whose share in the counts changes."""
    counts = counted.counts
    points = np.flatnonzero(is_point_used)
    changes = find_share_changes(counts.accepted[:, points], live.seconds[:, points])
    if not changes:
        return []
    descriptions = [
        _describe_share(change, counts.pixel, points.tolist()) for change in changes
    ]
    n_changed = sum(int(change.is_changed.sum()) for change in changes)
    n_exposed = int((live.seconds > 0).any(axis=1).sum())
    unknown = ""
    if n_changed > LARGEST_MINORITY * n_exposed:
        unknown = "which pixels are right is not known: "
    return [
        f"{counted.scan.name}: pixels lose or gain counts relative to the others: "
        f"{', '.join(descriptions)}; intensities are wrong there; {unknown}leave out "
        "the wrong pixels (`beamtime.exclude.pixels`) or the points "
        "(`beamtime.exclude.points`)"
    ]


def _describe_share(change: ShareChange, pixels: IntArray, points: list[int]) -> str:
    """Return which pixels change, where, and to what, by the numbers of the points."""
    changed = pixels[change.is_changed].astype(str)
    subject = f"pixel{'s' * (len(changed) > 1)} {', '.join(changed)}"
    where = f"from point {points[change.first]} on"
    if change.stop < len(points):
        where = f"at points {points[change.first]} to {points[change.stop - 1]}"
    return f"{subject} by a factor of {change.ratio:.2f} {where}"


def _pixels_with_jumping_baseline(counted: CountedScan) -> list[str]:
    """Return the warning about pixels whose baseline was away during a scan."""
    counts, scan = counted.counts, counted.scan
    seconds = np.where(counted.is_used, counts.away_time.sum(axis=1), 0.0)
    duration = scan.points.duration.sum()
    pixels = [
        f"pixel {counts.pixel[row]} ({100 * seconds[row] / duration:.0f} % of the time)"
        for row in np.flatnonzero(seconds)
    ]
    if not pixels:
        return []
    return [
        f"{scan.name}: baseline away after a jump: {', '.join(pixels)}; "
        "not exposed there"
    ]


def _displaced_pixels(counted: CountedScan) -> list[str]:
    """Return the warnings about pixels that stand off the other pixels of a scan."""
    scan, pixels = counted.scan, counted.counts.pixel.tolist()
    warnings, disagreeing = [], []
    for pixel, energy in zip(pixels, counted.energies, strict=True):
        if energy.status.state is PixelState.DISPLACED:
            problem = f"pixel {pixel} displaced by {energy.status.detail}"
            warnings.append(f"{scan.name}: {problem}; not used in this scan")
        elif energy.status.state is PixelState.UNLIKE:
            problem = f"pixel {pixel} unlike the other pixels: {energy.status.detail}"
            warnings.append(f"{scan.name}: {problem}; not used in this scan")
        elif energy.status.is_ok and np.isinf(energy.displacement):
            disagreeing.append(f"pixel {pixel} by its spectrum")
        elif energy.status.is_ok and np.isfinite(energy.displacement):
            disagreeing.append(f"pixel {pixel} by {energy.displacement:+.1f} eV")
    shifts = np.array([energy.group_shift for energy in counted.energies])
    upper, lower = int((shifts > 0).sum()), int((shifts < 0).sum())
    if upper:
        size, side, shift = upper, "above", np.nanmax(shifts)
        if lower < upper:
            size, side, shift = lower, "below", np.nanmin(shifts)
        warnings.append(
            f"{scan.name}: pixels disagree: {size} of {upper + lower} stand "
            f"{shift:+.1f} eV {side} the others; which ones are right is not known "
            "(see `group_shift`): leave out the wrong ones "
            "(`beamtime.exclude.pixels`)"
        )
    elif disagreeing:
        warnings.append(
            f"{scan.name}: pixels disagree: {', '.join(disagreeing)} against the "
            "others; if they are wrong, leave them out (`beamtime.exclude.pixels`)"
        )
    return warnings
