"""Hints of the user: peaks of a pixel that are known to be certain lines.

A hint names the line of the peak nearest to a pulse height. It limits the gain curves
that are tried to those that pass through this peak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rixs_pipeline.core.calibration.identification.line_assignment import (
    FreeLines,
    HintedPeak,
    LineAssignment,
    assign_lines,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.types import FloatArray

# relative distance in pulse height within which a hinted peak is sought: half the
# distance of neighbouring lines
HINT_REACH = 0.03
# A hint for all pixels holds where it explains the peaks nearly as well as the best
# curve does: gains of one array differ, so that the peak may be another line elsewhere.
MIN_SCORE_SHARE = 0.9


@dataclass(frozen=True)
class Hint:
    """A peak at about this pulse height is this line."""

    pulse_height: float
    line: str


@dataclass(frozen=True)
class Hints:
    """Hints of the config.

    Attributes
    ----------
    all_pixels
        For every pixel that shows them.
    by_pixel
        Channel number -> hints for this pixel alone, instead of those for all.
    """

    all_pixels: tuple[Hint, ...] = ()
    by_pixel: Mapping[int, tuple[Hint, ...]] = field(default_factory=dict)

    def of_pixel(self, pixel: int) -> tuple[Hint, ...]:
        """Return the hints that apply to a pixel."""
        return self.by_pixel.get(pixel, self.all_pixels)


NO_HINTS = Hints()


@dataclass(frozen=True)
class PixelHints:
    """Hints of one pixel, matched with its peaks.

    Attributes
    ----------
    peaks
        The hinted peaks that the pixel shows.
    is_binding
        Whether they are for this pixel alone.
    problem
        Why hints are not used, in words; empty: all are.
    """

    peaks: tuple[HintedPeak, ...] = ()
    is_binding: bool = False
    problem: str = ""


NO_PIXEL_HINTS = PixelHints()


def match_hints(
    hints: Hints, pixel: int, peaks: Peaks, line_energy: Mapping[str, float]
) -> PixelHints:
    """Match the hints for a pixel with its peaks.

    Parameters
    ----------
    hints
        Of the config.
    pixel
        Channel number.
    peaks
        Of the pixel.
    line_energy
        Line -> energy, eV, of all lines of the reference set.

    Returns
    -------
    PixelHints
        The peaks within `HINT_REACH` of the hints.
    """
    found = []
    missing = []
    for hint in hints.of_pixel(pixel):
        distance = np.abs(peaks.pulse_height - hint.pulse_height)
        nearest = int(np.argmin(distance)) if len(distance) else -1
        if nearest >= 0 and distance[nearest] < HINT_REACH * abs(hint.pulse_height):
            found.append(HintedPeak(nearest, line_energy[hint.line]))
        else:
            missing.append(f"{hint.pulse_height:g} ({hint.line})")
    problem = ""
    if missing:
        problem = f"no peak within 3 % of pulse height {', '.join(missing)}"
    return PixelHints(tuple(found), pixel in hints.by_pixel, problem)


@dataclass(frozen=True)
class HintedAssignment:
    """Lines of a pixel, and the hints as they were used."""

    assignment: LineAssignment | None
    hints: PixelHints


def assign_with_hints(
    peaks: Peaks,
    lines: FreeLines,
    hints: PixelHints,
    saturation_energies: FloatArray | None = None,
) -> HintedAssignment:
    """Assign the peaks of a pixel to lines, with hints where they fit.

    Parameters
    ----------
    peaks
        Of the pixel.
    lines
        Lines that the peaks may belong to.
    hints
        Of the pixel.
    saturation_energies
        As in `assign_lines`.

    Returns
    -------
    HintedAssignment
        Without hints where no gain curve passes through the hinted peaks.
    """
    if not hints.peaks:
        free = assign_lines(peaks, lines, saturation_energies)
        return HintedAssignment(free, hints)
    hinted = assign_lines(peaks, lines, saturation_energies, hints.peaks)
    if hints.is_binding and hinted is not None:
        return HintedAssignment(hinted, hints)
    free = assign_lines(peaks, lines, saturation_energies)
    limit = MIN_SCORE_SHARE * free.score if free is not None else np.inf
    if hinted is not None and hinted.score >= limit:
        return HintedAssignment(hinted, hints)
    problem = "no gain curve passes through the hinted peaks"
    if hinted is not None:
        problem = "other lines explain the peaks better than the hints"
    return HintedAssignment(free, PixelHints(problem=problem))


def summarise_problems(problems: Sequence[tuple[int, str]]) -> list[str]:
    """Return a line for each kind of problem, from (pixel, problem)."""
    pixels_of: dict[str, list[int]] = {}
    for pixel, problem in problems:
        if problem:
            pixels_of.setdefault(problem, []).append(pixel)
    lines = []
    for problem, pixels in pixels_of.items():
        listed = ", ".join(map(str, pixels[:8]))
        ellipsis = ", ..." if len(pixels) > 8 else ""
        plural = "s" if len(pixels) > 1 else ""
        lines.append(f"hints not used in pixel{plural} {listed}{ellipsis}: {problem}")
    return lines
