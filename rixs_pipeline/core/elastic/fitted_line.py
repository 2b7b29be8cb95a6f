"""The fitted elastic line of a map: assumptions, parameters and result."""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.elastic.fluorescence import MapBand
from rixs_pipeline.core.elastic.line_templates import LineResponse, detected_line
from rixs_pipeline.types import FloatArray, IntArray

LOG_STEP = 0.02  # change of the logarithms for derivatives by the response
SHIFT_EV = 0.1  # change of the offset for derivatives
# shared parameters after those of the amplitude; then the common inelastic spectrum
OFFSET, WIDTH, TAIL_FRACTION, TAIL_LENGTH, CONSTANT = range(5)
N_SHARED = 5
NONLINEAR = slice(OFFSET, CONSTANT)


@dataclass(frozen=True)
class ResponsePrior:
    """Response of the detector; relative standard deviations of its three values."""

    response: LineResponse
    errors: tuple[float, float, float]


@dataclass(frozen=True)
class ElasticOptions:
    """What is assumed of the elastic line.

    Attributes
    ----------
    amplitude : AmplitudeKind
        Smooth in incident energy, or free.
    offset : float or None
        Emission - incident energy of the line, eV; None: it is fitted.
    """

    amplitude: AmplitudeKind = AmplitudeKind.SMOOTH
    offset: float | None = None


@dataclass(frozen=True)
class Solution:
    """Solution of the linear equations of one step, all in the windows of the points.

    Attributes
    ----------
    parameters : f8 (parameter,)
        Of the amplitude, shared, and of the common inelastic spectrum.
    covariance : f8 (parameter, parameter)
        With the priors.
    sensitivity : f8 (point, bin, parameter)
        Parameters = covariance @ sum (sensitivity x counts), apart from constants.
    variance : f8 (point, bin)
        Expected variance of the counts.
    columns : i8 (point, bin)
        The bins of the map's band in each window.
    evidence : float
        Logarithm of the evidence, apart from constants.
    """

    parameters: FloatArray
    covariance: FloatArray
    sensitivity: FloatArray
    variance: FloatArray
    columns: IntArray
    evidence: float


@dataclass(frozen=True)
class ElasticFit:
    """The elastic line of a map.

    Attributes
    ----------
    band : MapBand
        The part of the map that was fitted.
    basis : f8 (point, parameter)
        Of the amplitude, whose parameters come first.
    amplitude, amplitude_errors : f8 (point,)
        Elastic light, photons per second of exposure, and standard deviations.
    significance : float
        Mean amplitude over its standard deviation.
    offset, offset_error : float
        Emission - incident energy of the line, eV.
    response : LineResponse
        Fitted response.
    solution : Solution
        Of the last step.
    """

    band: MapBand
    basis: FloatArray
    amplitude: FloatArray
    amplitude_errors: FloatArray
    significance: float
    offset: float
    offset_error: float
    response: LineResponse
    solution: Solution

    def shift(self, shift: float) -> "ElasticFit":
        """Return the fit of the same counts on an emission scale higher by eV."""
        band = replace(self.band, edges=self.band.edges + shift)
        return replace(self, band=band, offset=self.offset + shift)

    def content(self, edges: FloatArray) -> FloatArray:
        """Return the expected elastic counts (point, bin) in bins with edges in eV."""
        distances = edges - self.band.incident[:, None] - self.offset
        rate = self.band.exposure * self.amplitude
        return rate[:, None] * detected_line(self.response).bins(distances)

    def derivatives(self, edges: FloatArray) -> FloatArray:
        """Return the derivatives (point, bin, parameter) of `content`."""
        distances = edges - self.band.incident[:, None] - self.offset
        line = detected_line(self.response).bins(distances)
        line = self.band.exposure[:, None] * line
        rate = self.band.exposure * self.amplitude
        n_amplitude = self.basis.shape[1]
        n_parameters = len(self.solution.parameters)
        derivatives = np.zeros((*line.shape, n_parameters))
        derivatives[..., :n_amplitude] = line[..., None] * self.basis[:, None, :]
        shared = slice(n_amplitude, n_amplitude + CONSTANT)
        changes = line_changes(self.response, distances)
        derivatives[..., shared] = rate[:, None, None] * changes
        return derivatives


def line_changes(response: LineResponse, distances: FloatArray) -> FloatArray:
    """Return derivatives (point, bin, 4) by the offset and logs of the response."""
    line = detected_line(response)
    down, up = line.bins(distances + SHIFT_EV), line.bins(distances - SHIFT_EV)
    changes = [(up - down) / (2 * SHIFT_EV)]
    for direction in np.eye(3):
        wider = detected_line(response.scaled(LOG_STEP * direction))
        narrower = detected_line(response.scaled(-LOG_STEP * direction))
        change = wider.bins(distances) - narrower.bins(distances)
        changes.append(change / (2 * LOG_STEP))
    return np.stack(changes, axis=-1)
