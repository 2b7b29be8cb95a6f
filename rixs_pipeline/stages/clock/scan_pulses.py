"""Pulses around a scan in bands of pulse height and bins of time, of all pixels."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from rixs_pipeline import interrupt
from rixs_pipeline.core.timing.shift_fits import BandCounts
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import NS_PER_S, Run

N_BANDS = 8  # of pulse height: the lines of C, O and the metals are in different ones
TOP_QUANTILE = 0.995  # of the pulse heights of a pixel, at which the last band ends
MIN_PIXEL_PULSES = 50  # pulses that a pixel needs for its quantile
MAX_RATIO = 4.0  # pulses of a pixel over the median pixel, beyond which it is noisy


@dataclass(frozen=True)
class TimeWindow:
    """A time window, ns since 1970."""

    start_ns: int
    end_ns: int


def count_in_bands(
    scan: Run, window: TimeWindow, width: float, excluded: Collection[int]
) -> BandCounts:
    """Count the pulses of all pixels around a scan.

    The bands of a pixel divide the range up to its highest pulses into equal parts, so
    that gains need not be known. Pixels with many more pulses than most are noisy and
    left out, and so are files that cannot be read: the stages that need them report it.

    Parameters
    ----------
    scan
        With pulse files.
    window
        What to count.
    width
        Width of the bins, s.
    excluded
        Channels to leave out.

    Returns
    -------
    BandCounts
        Times are relative to the start of the scan in its log.
    """
    from rixs_pipeline.core.calibration.pulse_kernels import quantile  # numba: slow
    from rixs_pipeline.core.timing import band_kernels  # numba: slow

    n_bins = max(1, int((window.end_ns - window.start_ns) / (width * NS_PER_S)))
    pixels = []
    for path in scan.pulse_files:
        interrupt.check()
        if off.pixel_number(path) in excluded:
            continue
        with suppress(InputError):
            records = off.open_records(path, window.end_ns)
            rows = off.record_range(records, window.start_ns, window.end_ns)
            pulses = band_kernels.select_pulses(off.columns(records[rows]))
            pixels.append(pulses)
    pixels = [pixel for pixel in pixels if len(pixel.time_ns) >= MIN_PIXEL_PULSES]
    numbers = [len(pixel.time_ns) for pixel in pixels]
    limit = MAX_RATIO * float(np.median(numbers)) if numbers else 0.0
    counts = np.zeros((N_BANDS, n_bins))
    for pixel in pixels:
        if len(pixel.time_ns) > limit:
            continue
        top = quantile(pixel.height, TOP_QUANTILE)
        band_kernels.add_to_bands(pixel, window.start_ns, width * NS_PER_S, top, counts)
    start = (window.start_ns - scan.start_ns) / NS_PER_S
    return BandCounts(start, width, counts)


def window_digest(scan: Run, window: TimeWindow) -> list[list[int | str]]:
    """Return number, first and last time of each pixel's records in a window.

    Enough to notice that records were added; a few pages are read. Of a file that
    cannot be read, the name alone.
    """
    digest: list[list[int | str]] = []
    for path in scan.pulse_files:
        try:
            records = off.open_records(path, window.end_ns)
        except InputError:
            digest.append([path.name])
            continue
        rows = off.record_range(records, window.start_ns, window.end_ns)
        times = records["unixnano"]
        number = rows.stop - rows.start
        ends = (rows.start, rows.stop - 1) if number else ()
        digest.append([path.name, number, *(int(times[row]) for row in ends)])
    return digest
