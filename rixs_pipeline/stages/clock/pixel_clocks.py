"""Pixels whose files have another clock than those of the other pixels."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixs_pipeline.core.timing.pixel_lags import fit_lags
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import NS_PER_S, Run
from rixs_pipeline.stages.clock.scan_clock import scan_spacing
from rixs_pipeline.types import FloatArray

N_SCANS = 5  # that are compared
BINS_PER_SPACING = 8
MAX_POINTS = 5  # largest lag
MIN_SPACINGS = 0.25  # smallest lag that matters, points
SAME_SPACINGS = 0.3  # points, by which lags of one clock may differ
# As much evidence as six standard deviations: there are many pixels
MIN_LOG_RATIO = 6.0**2 / 2
MIN_LOG_RATIO_SAME = 3.0**2 / 2  # of a lag that another pixel has beyond doubt
# From this lag on the ends of files show it: they differ by some seconds otherwise, s
LONG_LAG = 60.0
SAME_LAG = 0.1  # share of a long lag, by which both ends of a file may disagree
SHOWN_PIXELS = 8


@dataclass(frozen=True)
class PixelClocks:
    """The clocks of the pixels whose pulses are in the same files.

    Attributes
    ----------
    scans
        That are compared.
    paths
        Of the pulses, one a pixel.
    long_lags
        Channel -> s, that the ends of the files show.
    """

    scans: Sequence[Run]
    paths: Sequence[Path]
    long_lags: dict[int, float]

    def lines(self) -> list[str]:
        """Return a line for each group of pixels whose clock differs."""
        pixels = [off.pixel_number(path) for path in self.paths]
        others = [
            path
            for path, pixel in zip(self.paths, pixels, strict=True)
            if pixel not in self.long_lags
        ]
        lags = self.long_lags | _short_lags(self.scans, others)
        return list(_lines(self.scans[0], lags, pixels))


def pixel_clocks(
    scans: Sequence[Run], excluded: Sequence[int]
) -> Iterator[PixelClocks]:
    """Yield the clocks of the pixels of each set of files.

    Parameters
    ----------
    scans
        Of a beamtime.
    excluded
        Channels that the config leaves out.

    Yields
    ------
    PixelClocks
        Nothing is corrected.
    """
    for files, group in _by_files(scans).items():
        paths = [path for path in files if off.pixel_number(path) not in set(excluded)]
        yield PixelClocks(group, paths, dict(_long_lags(paths)))


def _by_files(scans: Sequence[Run]) -> dict[tuple[Path, ...], list[Run]]:
    """Return the scans that are compared, by the files that hold their pulses."""
    groups: dict[tuple[Path, ...], list[Run]] = {}
    for scan in scans:
        group = groups.setdefault(scan.pulse_files, [])
        if scan.pulse_files and len(group) < N_SCANS:
            group.append(scan)
    return {files: group for files, group in groups.items() if group}


def _lines(scan: Run, lags: dict[int, float], pixels: list[int]) -> Iterator[str]:
    """Yield a line for each group of pixels with about the same lag, s."""
    others = _listed([pixel for pixel in pixels if pixel not in lags])
    by_lag = sorted(lags, key=lambda pixel: lags[pixel])
    steps = np.diff([lags[pixel] for pixel in by_lag])
    breaks = np.flatnonzero(steps > scan_spacing(scan) * SAME_SPACINGS) + 1
    for group in np.split(np.array(by_lag, np.int64), breaks):
        if not len(group):
            continue
        lag = float(np.mean([lags[pixel] for pixel in group.tolist()]))
        yield (
            f"{scan.directory}: times of pixels {_listed(sorted(group.tolist()))} are "
            f"about {lag:+.4g} s off those of pixels {others}: their clocks differ; "
            "correct the files, or leave out the wrong ones (`beamtime.exclude.pixels`)"
        )


def _listed(pixels: list[int]) -> str:
    ellipsis = ", ..." if len(pixels) > SHOWN_PIXELS else ""
    return ", ".join(map(str, pixels[:SHOWN_PIXELS])) + ellipsis


def _long_lags(paths: Sequence[Path]) -> Iterator[tuple[int, float]]:
    """Yield pixels whose first and last pulse are as far from those of the others."""
    ends = {}
    for path in paths:
        with suppress(InputError):
            times = off.open_records(path)["unixnano"]
            if len(times):
                ends[off.pixel_number(path)] = [
                    times[0] / NS_PER_S,
                    times[-1] / NS_PER_S,
                ]
    if len(ends) < 2:
        return
    limits = np.array(list(ends.values()))
    first, last = (limits - np.median(limits, axis=0)).T
    for pixel, early, late in zip(ends, first, last, strict=True):
        lag = float((early + late) / 2)
        if abs(lag) > LONG_LAG and abs(early - late) < SAME_LAG * abs(lag):
            yield pixel, round(lag)


def _short_lags(scans: Sequence[Run], paths: Sequence[Path]) -> dict[int, float]:
    """Return the lags, s, of pixels by some points."""
    spacing = min((scan_spacing(scan) for scan in scans), default=0.0)
    if spacing <= 0 or len(paths) < 2:
        return {}
    width, margin = spacing / BINS_PER_SPACING, MAX_POINTS * BINS_PER_SPACING
    windows = [_count(scan, paths, width, 2 * margin) for scan in scans]
    fit = fit_lags(windows, margin)
    is_large = np.abs(fit.lag) >= MIN_SPACINGS * BINS_PER_SPACING
    is_late = is_large & (fit.log_ratio >= MIN_LOG_RATIO)
    distance = np.abs(fit.lag[:, None] - fit.lag[is_late])
    is_same = (distance <= SAME_SPACINGS * BINS_PER_SPACING).any(axis=1)
    is_late |= is_large & is_same & (fit.log_ratio >= MIN_LOG_RATIO_SAME)
    return {
        off.pixel_number(paths[row]): float(fit.lag[row] * width)
        for row in np.flatnonzero(is_late).tolist()
    }


def _count(scan: Run, paths: Sequence[Path], width: float, margin: int) -> FloatArray:
    """Count the pulses of each pixel around a scan, f8 (pixel, bin)."""
    width_ns = width * NS_PER_S
    start_ns = scan.start_ns - round(margin * width_ns)
    n_bins = int((scan.end_ns - scan.start_ns) / width_ns) + 2 * margin
    end_ns = start_ns + int(n_bins * width_ns)
    counts = np.zeros((len(paths), n_bins))
    for row, path in enumerate(paths):
        with suppress(InputError):
            records = off.open_records(path, end_ns)
            times = records["unixnano"][off.record_range(records, start_ns, end_ns)]
            bins = ((np.asarray(times) - start_ns) / width_ns).astype(np.int64)
            is_inside = (bins >= 0) & (bins < n_bins)
            counts[row] = np.bincount(bins[is_inside], minlength=n_bins)
    return counts
