"""What lies beneath the elastic line: emission lines, and light that lost energy.

No photon leaves with more energy than came in. Up to there, a point's spectrum is

- emission at constant energy: the profile P that points far above show, cut off at the
  incident energy, with a level and a slope of its own at every point;
- inelastic light at constant energy loss, which begins at 0 with a loss of 0 (d-d
  and charge-transfer excitations): a spectrum of any shape common to all points, in
  proportion to the yield, and deviations from it at each point.

Everything is linear in coefficients that the fit eliminates.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.elastic.line_templates import (
    SPLINE_DEGREE,
    STEP_EV,
    LineResponse,
    Shape,
    detect,
    detected_line,
    uniform_spline,
)
from rixs_pipeline.types import FloatArray

# Energy loss from which on a point shows the profile of the lines alone, besides the
# width of the line: d-d and charge-transfer excitations end there.
PROFILE_LOSS_EV = 6.0
NEAREST_LOSS_EV = 1.5  # the same at the end of a scan, besides half the width
LARGEST_LOSS_SHARE = 0.6  # of the largest loss at which a bin is seen
PROFILE_SPACING = 0.6  # of the splines of the profile, over the FWHM
MIN_PROFILE_SPACING_EV = 0.8  # lines are wider by their natural width
PROFILE_BELOW_EV = 15.0  # range of the profile below the first incident energy
# Splines of the energy loss: what is finer is lost in the resolution.
LOSS_SPACING = 0.35  # over the FWHM
MIN_LOSS_SPACING_EV = 1.0
# Standard deviations of the inelastic light in one spline at one point from the common
# spectrum, over the yield. The evidence chooses; the largest is the height of the d-d
# excitations of oxides.
DEVIATIONS = (0.015, 0.05, 0.15)
YIELD_LOSS_EV = (2.0, 40.0)  # energy losses whose counts make the yield of a point
SLOPE_EV = 8.0  # over which the level of the profile may change by itself
LEAST_YIELD = 0.02  # over the highest, as weight of a point in the profile


@dataclass(frozen=True)
class MapBand:
    """The part of a map around the elastic line.

    Attributes
    ----------
    counts : f8 (point, bin)
        Photons.
    exposure : f8 (point,)
        Seconds, 0 where the point is not used.
    edges : f8 (bin + 1,)
        Of the bins, eV.
    incident : f8 (point,)
        Incident energies, eV.
    """

    counts: FloatArray
    exposure: FloatArray
    edges: FloatArray
    incident: FloatArray

    @property
    def centres(self) -> FloatArray:
        """Middles of the bins (bin,), eV."""
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2)

    def yields(self, offset: float) -> FloatArray:
        """Return the fluorescence of each point and its neighbours, 1/s, above 0."""
        loss = self.incident[:, None] + offset - self.centres
        low, high = YIELD_LOSS_EV
        is_inside = (loss > low) & (loss < high)
        counts = (self.counts * is_inside * (self.exposure[:, None] > 0)).sum(axis=1)
        total = _sum_of_neighbours(counts) + 1  # above 0
        seconds = _sum_of_neighbours(self.exposure)
        return np.asarray(total / np.maximum(seconds, self.exposure.max() * 1e-9))


def _sum_of_neighbours(values: FloatArray) -> FloatArray:
    """Return the sums (point,) over each point and the two beside it."""
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(padded[:-2] + padded[1:-1] + padded[2:])


def learn_profile(band: MapBand, response: LineResponse, offset: float) -> Shape | None:
    """Return the profile of emission at constant energy, as it leaves the sample.

    Splines with coefficients of at least 0, fitted to the bins that are far enough
    below the incident energy; points are weighted by their yields.

    Parameters
    ----------
    band : MapBand
        The map.
    response : LineResponse
        Response of the detector.
    offset : float
        Of the elastic line, eV.

    Returns
    -------
    Shape or None
        None where no bin is far enough below.
    """
    from scipy.optimize import nnls  # takes long to load

    loss = band.incident[:, None] + offset - band.centres
    # bins near the end of the scan are seen at lower losses only
    far = LARGEST_LOSS_SHARE * loss.max(axis=0)
    nearest = NEAREST_LOSS_EV + response.fwhm / 2
    threshold = np.clip(far, nearest, PROFILE_LOSS_EV + response.fwhm)
    is_far = (loss > threshold) & (band.exposure[:, None] > 0)
    yields = band.yields(offset)
    weights = np.maximum(yields, LEAST_YIELD * yields.max())
    counts = (band.counts * is_far).sum(axis=0)
    seconds = (is_far * (band.exposure * weights)[:, None]).sum(axis=0)
    low = band.incident.min() + offset - PROFILE_BELOW_EV
    is_fitted = (band.centres > low) & (seconds > 0)
    if not (is_fitted.any() and counts[is_fitted].any()):
        return None
    high = band.centres[is_fitted].max() + response.fwhm
    spacing = max(MIN_PROFILE_SPACING_EV, PROFILE_SPACING * response.fwhm)
    width = round(spacing / STEP_EV)
    spline = uniform_spline(width * STEP_EV)
    # knots are whole steps apart, so that all splines are one shape, shifted
    n_splines = int(np.ceil((high - low) / (width * STEP_EV))) + SPLINE_DEGREE
    first = low - SPLINE_DEGREE * width * STEP_EV
    starts = first + np.arange(n_splines) * width * STEP_EV
    line = detected_line(response)
    detected = _padded(spline, line)
    contents = np.array([detected.bins(band.edges - start) for start in starts])
    deviation = np.sqrt(counts[is_fitted] + 1)
    design = (contents[:, is_fitted] * seconds[is_fitted] / deviation).T
    coefficients, _ = nnls(design, counts[is_fitted] / deviation)
    density = np.zeros((n_splines - 1) * width + len(spline.density))
    for index, coefficient in enumerate(coefficients):
        place = slice(index * width, index * width + len(spline.density))
        density[place] += coefficient * spline.density
    return Shape(first, density)


def _padded(spline: Shape, line: Shape) -> Shape:
    """Return one spline as the detector shows it, with room for its tail."""
    before = round(-line.start / STEP_EV)
    after = len(line.density) - before
    density = np.pad(spline.density, (before, after))
    return detect(Shape(spline.start - before * STEP_EV, density), line)


def cut_profile(
    profile: Shape, edges: FloatArray, energy: FloatArray, response: LineResponse
) -> FloatArray:
    """Return the profile cut off at the incident energies, with its level and slope.

    Parameters
    ----------
    profile : Shape
        As it leaves the sample.
    edges : f8 (point, bin + 1)
        Of the bins of each point, eV.
    energy : f8 (point,)
        Of the elastic line, eV.
    response : LineResponse
        Response of the detector.

    Returns
    -------
    f8 (point, bin, 2)
        Contents of the bins.
    """
    loss = energy[:, None] - profile.energy
    share = np.clip(loss / STEP_EV + 0.5, 0.0, 1.0)
    level = profile.density * share
    slope = level * loss / SLOPE_EV
    emitted = Shape(profile.start, np.stack([level, slope], axis=1))
    detected = detect(emitted, detected_line(response))
    return np.moveaxis(detected.rows_in_bins(edges), 1, -1)


def loss_splines(
    distances: FloatArray, response: LineResponse, spacing: float, max_loss: float
) -> FloatArray:
    """Return splines of the energy loss in the detector.

    Parameters
    ----------
    distances : f8 (point, bin + 1)
        Edges of the bins less the energy of the elastic line, eV.
    response : LineResponse
        Response of the detector.
    spacing : float
        Of their knots, eV.
    max_loss : float
        Energy loss up to which they describe any spectrum, eV.

    Returns
    -------
    f8 (point, bin, spline)
        Contents of the bins of splines of area 1.
    """
    n_splines = int(np.ceil(max_loss / spacing))
    spline = uniform_spline(spacing)
    mirrored = Shape(-(len(spline.density) - 1) * STEP_EV, spline.density[::-1])
    line = detected_line(response)
    columns = [_rising_spline_bins(spacing, line, distances)]
    detected = _padded(mirrored, line)
    for index in range(n_splines):
        columns.append(detected.bins(distances + index * spacing))
    return np.stack(columns, axis=-1)


def _rising_spline_bins(
    spacing: float, line: Shape, distances: FloatArray
) -> FloatArray:
    """Return the spline of the two first intervals: 0 at a loss of 0, with a slope.

    With t the loss over the spacing it is 2 t - 3 t^2 / 2 up to t = 1, then
    (2 - t)^2 / 2: the quadratic B-spline of the knots 0, 0, 1, 2.
    """
    loss = np.arange(round(2 * spacing / STEP_EV), -1, -1) * STEP_EV / spacing
    rising = 2 * loss - 1.5 * loss**2
    falling = 0.5 * np.maximum(2 - loss, 0.0) ** 2
    spline = np.where(loss < 1, rising, falling)
    emitted = Shape(-(len(spline) - 1) * STEP_EV, spline / spline.sum())
    return _padded(emitted, line).bins(distances)
