"""Fit of the elastic line to a whole map, with any fluorescence beneath it.

The expected counts of the point j and the bin i are

    mu_ij = X_j (a_j R_i(E_j + offset) + F_ij + b),

with X the exposure, R the elastic line in the detector, F the light that lost energy
(`fluorescence`), and b a constant rate per bin. Shared by all points are the parameters
of the amplitude a (`amplitude`), the offset between the scales, the response, which has
a prior from the reference runs, the common inelastic spectrum, and b. What each point
has of its own is eliminated.

The offset to start from is that of most evidence (its Laplace approximation): by its
likelihood alone an offset that is too high is as good, since losses describe the line.

Each step solves the score equations of the Poisson likelihood: weighted least squares
with the inverse of the expected counts as weights. These are the counts around
each bin without itself, so that weights do not follow the noise that they weight. The
estimate is then linear in the counts, and its covariance with any sum of the same
counts is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind, free_model, smooth_model
from rixs_pipeline.core.elastic.fluorescence import (
    DEVIATIONS,
    LOSS_SPACING,
    MIN_LOSS_SPACING_EV,
    MapBand,
    cut_profile,
    learn_profile,
    loss_splines,
)
from rixs_pipeline.core.elastic.line_templates import LineResponse, detected_line
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

NO_ELASTIC_LINE = "the map does not include the elastic line"
MAX_LOSS_EV = 8.0  # energy loss down to which the fit reaches, at least
LOSS_FWHMS = 4.0  # the same in widths of the line
ABOVE_FWHMS = 2.0  # energy above the line up to which it reaches, in widths of it ...
ABOVE_EV = 1.0  # ... and besides
N_STEPS = 6
LOG_STEP = 0.02  # change of the logarithms for derivatives by the response
LARGEST_LOG_STEP = 0.3
LARGEST_LOG = 0.9  # the response is known within a factor of 2.5
SEARCHED_EV = 4.0  # offsets that are tried first, if none is known
SEARCH_STEP_EV = 1.0
REFINED_STEPS_EV = (0.5, 0.25)  # around the best offset, one after the other
SEARCH_WIDTH_EV = 2.0  # prior standard deviation
OFFSET_WIDTH_EV = 0.5  # prior standard deviation around the offset of most evidence
SHIFT_EV = 0.1  # change of the offset for derivatives
LARGEST_SHIFT_EV = 0.5  # of the offset in one step
# points and bins whose counts are averaged for weights, at constant emission and loss
SMOOTHED = (3, 5)
SMOOTHED_AT_LOSS = (5, 3)
NEAR_FWHMS = 1.2  # widths of the line around it in which counts follow its energy
# prior standard deviation of the common inelastic light in one spline, over the yield
COMMON_LOSS = 0.5
FIXED = 1e-4  # standard deviation of a parameter that is not fitted
RIDGE = 1e-12  # of the mean information, against parameters without any
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
class _Solution:
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
    solution : _Solution
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
    solution: _Solution

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
        changes = _line_changes(self.response, distances)
        derivatives[..., shared] = rate[:, None, None] * changes
        return derivatives


def fit_elastic(
    band: MapBand, prior: ResponsePrior, options: ElasticOptions
) -> ElasticFit:
    """Fit the elastic line of a map.

    Parameters
    ----------
    band : MapBand
        The map.
    prior : ResponsePrior
        Response of the detector.
    options : ElasticOptions
        Assumptions.

    Returns
    -------
    ElasticFit

    Raises
    ------
    ValueError
        The map does not contain the elastic line.
    """
    search = _Search(band, prior, options)
    if options.offset is None:
        best = search.run()
    else:
        search.choose_deviation(options.offset)
        best = _Start(options.offset, FIXED, search.deviation)
    state = _Fit(band, prior, options, best.value, best.deviation)
    state.offset_prior = (best.value, best.width)
    for _ in range(N_STEPS):
        state.step()
    return state.result()


@dataclass(frozen=True)
class _Start:
    """Offset to start from, width of its prior, deviation of inelastic light."""

    value: float
    width: float
    deviation: float


class _Search:
    """Search for the offset, and the deviation of inelastic light, of most evidence."""

    def __init__(
        self, band: MapBand, prior: ResponsePrior, options: ElasticOptions
    ) -> None:
        self.band = band
        self.prior = prior
        self.options = replace(options, amplitude=AmplitudeKind.SMOOTH)
        self.deviation = DEVIATIONS[len(DEVIATIONS) // 2]
        self.evidences: dict[tuple[float, float], float] = {}

    def evidence(self, offset: float, deviation: float) -> float:
        """Return the logarithm of the evidence, apart from constants."""
        key = (offset, deviation)
        if key not in self.evidences:
            state = _Fit(
                self.band,
                self.prior,
                self.options,
                offset,
                deviation,
                is_searching=True,
            )
            solution = state.solve()
            prior_part = (offset / SEARCH_WIDTH_EV) ** 2 / 2
            self.evidences[key] = solution.evidence - prior_part
        return self.evidences[key]

    def best_offset(self, offsets: Sequence[float]) -> float:
        """Return the offset of most evidence."""
        return max(offsets, key=lambda offset: self.evidence(offset, self.deviation))

    def choose_deviation(self, offset: float) -> None:
        """Choose the deviation of most evidence at an offset."""
        self.deviation = max(
            DEVIATIONS, key=lambda deviation: self.evidence(offset, deviation)
        )

    def run(self) -> _Start:
        """Return the best offset and deviation."""
        count = round(2 * SEARCHED_EV / SEARCH_STEP_EV) + 1
        best = self.best_offset(np.linspace(-SEARCHED_EV, SEARCHED_EV, count).tolist())
        self.choose_deviation(best)
        for step in REFINED_STEPS_EV:
            best = self._climb(best, step)
        self.choose_deviation(best)
        best = self._climb(best, REFINED_STEPS_EV[-1])
        return _Start(best, OFFSET_WIDTH_EV, self.deviation)

    def _climb(self, offset: float, step: float) -> float:
        """Return the offset of most evidence on steps from one, within the range."""
        while abs(offset) < SEARCHED_EV:
            better = self.best_offset([offset - step, offset, offset + step])
            if better == offset:
                break
            offset = better
        return offset


def _line_changes(response: LineResponse, distances: FloatArray) -> FloatArray:
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


class _Fit:
    """State of the iteration at one offset."""

    def __init__(
        self,
        band: MapBand,
        prior: ResponsePrior,
        options: ElasticOptions,
        offset: float,
        deviation: float,
        *,
        is_searching: bool = False,
    ) -> None:
        self.band = band
        self.prior = prior
        self.offset = offset
        self.deviation = deviation
        self.is_searching = is_searching
        self.offset_prior = (offset, FIXED)
        self.is_response_free = False
        self.logs = np.zeros(3)
        n_points = len(band.incident)
        self.amplitude = np.zeros(n_points)
        self.amplitude_errors = np.zeros(n_points)
        self.mean_amplitude = 0.0
        self.significance = 0.0
        if options.amplitude is AmplitudeKind.FREE:
            self.model = free_model(n_points)
        else:
            self.model = smooth_model(band.incident, band.yields(offset))
        centre = 0.0 if is_searching else offset  # compare misfits of the same bins
        self.windows = self._find_windows(centre)
        self.profile = learn_profile(band, prior.response, offset)
        self.variance = self._expected_counts()

    @property
    def response(self) -> LineResponse:
        """Response of the current step."""
        return self.prior.response.scaled(self.logs)

    @property
    def max_loss(self) -> float:
        """Energy loss down to which the splines reach, eV."""
        reach = max(MAX_LOSS_EV, LOSS_FWHMS * self.prior.response.fwhm)
        return reach + SEARCHED_EV * self.is_searching

    def yields(self) -> FloatArray:
        """Return the fluorescence yields (point,), 1/s.

        While the offset is sought they do not follow it, so that the elastic line is
        not part of them.
        """
        return self.band.yields(0.0 if self.is_searching else self.offset)

    def _find_windows(self, offset: float) -> "_Windows":
        """Return the windows of all points around an offset."""
        band, fwhm = self.band, self.prior.response.fwhm
        below = max(MAX_LOSS_EV, LOSS_FWHMS * fwhm)
        above = ABOVE_FWHMS * fwhm + ABOVE_EV + SEARCHED_EV * self.is_searching
        energy = band.incident + offset
        n_bins = len(band.edges) - 1
        if n_bins < 1:
            raise ValueError(NO_ELASTIC_LINE)
        step = float(np.diff(band.edges).mean())
        width = int(np.ceil((below + above) / step)) + 1
        first = np.floor((energy - below - band.edges[0]) / step).astype(np.int64)
        columns = first[:, None] + np.arange(width)
        is_inside = (columns >= 0) & (columns < n_bins)
        is_inside &= (band.exposure > 0)[:, None]
        if not is_inside.any():
            raise ValueError(NO_ELASTIC_LINE)
        ends = first[:, None] + np.arange(width + 1)
        edges = band.edges[0] + step * ends
        return _Windows(np.clip(columns, 0, n_bins - 1), is_inside, edges)

    def step(self) -> None:
        """Solve once, then move the offset and the response."""
        solution = self.solve()
        if self.is_response_free:
            values = solution.parameters[self.model.basis.shape[1] :][NONLINEAR]
            change = values - [self.offset, *self.logs]
            shift = np.clip(change[0], -LARGEST_SHIFT_EV, LARGEST_SHIFT_EV)
            self.offset += float(shift)
            step = np.clip(change[1:], -LARGEST_LOG_STEP, LARGEST_LOG_STEP)
            self.logs = np.clip(self.logs + step, -LARGEST_LOG, LARGEST_LOG)
        self.is_response_free = True

    def solve(self) -> _Solution:
        """Solve the linear equations of one step and keep the amplitude."""
        design = self._design()
        own, own_precision = self._own_templates(design.splines)
        weight = self.windows.is_inside / design.variance
        n_amplitude = self.model.basis.shape[1]
        current = np.zeros(design.columns.shape[-1])
        current[n_amplitude:][NONLINEAR] = [self.offset, *self.logs]
        counts = np.take_along_axis(self.band.counts, self.windows.columns, axis=1)
        target = counts + design.columns @ current
        columns = np.concatenate([design.columns, target[..., None]], axis=-1)
        rest = _eliminate(columns, own, own_precision, weight)
        n_columns = columns.shape[-1]
        weighted = (weight[..., None] * columns).reshape(-1, n_columns)
        products = weighted.T @ rest.columns.reshape(-1, n_columns)
        information, score = products[:-1, :-1], products[:-1, -1]
        precision = self._prior_precision(len(score))
        centre = np.zeros(len(score))
        centre[n_amplitude + OFFSET] = self.offset_prior[0]
        ridge = RIDGE * np.trace(information) / len(score)
        posterior = information + np.diag(precision + ridge)
        covariance = np.linalg.inv(posterior)
        right = score + precision * centre
        parameters = covariance @ right
        misfit = float(products[-1, -1] + precision @ centre**2 - parameters @ right)
        has_prior = precision > 0
        volume = np.linalg.slogdet(posterior)[1] - np.log(precision[has_prior]).sum()
        self.solution = _Solution(
            parameters=parameters,
            covariance=(covariance + covariance.T) / 2,
            sensitivity=weight[..., None] * rest.columns[..., :-1],
            variance=design.variance,
            columns=self.windows.columns,
            evidence=-(misfit + rest.volume + float(volume)) / 2,
        )
        own_shares = rest.coefficients @ np.append(-parameters, 1.0)
        self.own_shares = _mean_of_neighbours(own_shares)
        self.common_loss = parameters[n_amplitude + N_SHARED :]
        self._update_amplitude()
        return self.solution

    def _design(self) -> "_Design":
        """Return the derivatives of the expected counts by the shared parameters."""
        band, windows = self.band, self.windows
        seconds = band.exposure[:, None]
        distances = windows.edges - (band.incident + self.offset)[:, None]
        line = seconds * detected_line(self.response).bins(distances)
        splines = self._loss_splines(distances)
        yields = band.exposure * self.yields()
        splines = yields[:, None, None] * splines
        shared = np.zeros((*line.shape, N_SHARED))
        shared[..., CONSTANT] = seconds
        if self.is_response_free:
            rate = seconds * self.amplitude[:, None]
            changes = _line_changes(self.response, distances)
            shared[..., NONLINEAR] = rate[..., None] * changes
            shared[..., OFFSET] += self._inelastic_change()
        amplitude = line[..., None] * self.model.basis[:, None, :]
        columns = np.concatenate([amplitude, shared, splines], axis=-1)
        return _Design(columns, splines, self.variance)

    def _expected_counts(self) -> FloatArray:
        """Return the expected counts (point, bin) in the windows, as variances.

        Smoothed counts, with one added since no bin expects none: at constant emission,
        or at constant loss near the elastic line. While its offset is sought they must
        not depend on it: the mean of both.
        """
        band, windows = self.band, self.windows
        seconds = np.broadcast_to(band.exposure[:, None], band.counts.shape)
        at_emission = _smooth_rate(band.counts, seconds, SMOOTHED)
        at_emission = np.take_along_axis(at_emission, windows.columns, axis=1)
        counts = np.take_along_axis(band.counts, windows.columns, axis=1)
        seconds = band.exposure[:, None] * windows.is_inside
        at_loss = _smooth_rate(counts, seconds, SMOOTHED_AT_LOSS)
        if self.is_searching:
            rate = (at_emission + at_loss) / 2
        else:
            distances = windows.edges - (band.incident + self.offset)[:, None]
            middle = np.abs(distances[:, 1:] + distances[:, :-1]) / 2
            is_near = middle < NEAR_FWHMS * self.prior.response.fwhm
            rate = np.where(is_near, at_loss, at_emission)
        expected = band.exposure[:, None] * rate
        return np.asarray(np.maximum(expected, 1e-9))

    def _loss_splines(self, distances: FloatArray) -> FloatArray:
        fwhm = self.prior.response.fwhm
        spacing = max(MIN_LOSS_SPACING_EV, LOSS_SPACING * fwhm)
        return loss_splines(distances, self.response, spacing, self.max_loss)

    def _inelastic_change(self) -> FloatArray:
        """Return the derivative of the inelastic light by the offset (point, bin)."""
        offset = self.offset
        contents = []
        for shift in (-SHIFT_EV, SHIFT_EV):
            self.offset = offset + shift
            energy = (self.band.incident + self.offset)[:, None]
            distances = self.windows.edges - energy
            splines = self._loss_splines(distances)
            yields = self.band.exposure * self.yields()
            splines = yields[:, None, None] * splines
            own, _ = self._own_templates(splines)
            content = splines @ self.common_loss
            contents.append(content + (own @ self.own_shares[..., None])[..., 0])
        self.offset = offset
        return np.asarray((contents[1] - contents[0]) / (2 * SHIFT_EV))

    def _own_templates(self, splines: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what each point has of its own, and the precision of its prior."""
        precision = np.full(splines.shape[-1], self.deviation**-2.0)
        if self.profile is None:
            return splines, precision
        band = self.band
        energy = band.incident + self.offset
        cut = cut_profile(self.profile, self.windows.edges, energy, self.response)
        yields = band.exposure * self.yields()
        cut = yields[:, None, None] * cut
        own = np.concatenate([splines, cut], axis=-1)
        return own, np.concatenate([precision, np.zeros(cut.shape[-1])])

    def _prior_precision(self, n_parameters: int) -> FloatArray:
        """Return the precision of the prior of each parameter around 0."""
        n_amplitude = self.model.basis.shape[1]
        precision = np.zeros(n_parameters)
        if self.mean_amplitude > 0:
            width = self.model.prior_width * self.mean_amplitude
            precision[:n_amplitude] = width**-2.0
        errors = [FIXED] * 4
        if self.is_response_free:
            errors = [self.offset_prior[1], *self.prior.errors]
        shared = precision[n_amplitude:]
        shared[NONLINEAR] = np.array(errors) ** -2.0
        shared[N_SHARED:] = COMMON_LOSS**-2
        return precision

    def _update_amplitude(self) -> None:
        """Take the amplitude from the solution."""
        basis = self.model.basis
        n_amplitude = basis.shape[1]
        covariance = self.solution.covariance[:n_amplitude, :n_amplitude]
        self.amplitude = basis @ self.solution.parameters[:n_amplitude]
        variances = np.einsum("jp,pq,jq->j", basis, covariance, basis)
        self.amplitude_errors = np.sqrt(np.maximum(variances, 0.0))
        weights = 1 / np.maximum(variances, np.finfo(float).tiny)
        weights /= weights.sum()
        mean = float(weights @ self.amplitude)
        change = weights @ basis
        error = float(np.sqrt(change @ covariance @ change))
        self.significance = mean / error
        self.mean_amplitude = max(mean, error)

    def result(self) -> ElasticFit:
        """Return the fit of the last step."""
        place = self.model.basis.shape[1] + OFFSET
        offset_variance = self.solution.covariance[place, place]
        return ElasticFit(
            band=self.band,
            basis=self.model.basis,
            amplitude=self.amplitude,
            amplitude_errors=self.amplitude_errors,
            significance=self.significance,
            offset=self.offset,
            offset_error=float(np.sqrt(offset_variance)),
            response=self.response,
            solution=self.solution,
        )


@dataclass(frozen=True)
class _Windows:
    """Bins around the elastic line of each point.

    `columns` i8 (point, bin) of the band, `is_inside` bool (point, bin), whether they
    are in the band, and their `edges` (point, bin + 1), eV.
    """

    columns: IntArray
    is_inside: BoolArray
    edges: FloatArray


@dataclass(frozen=True)
class _Design:
    """Derivatives `columns`, the `splines` among them, and expected `variance`."""

    columns: FloatArray
    splines: FloatArray
    variance: FloatArray


@dataclass(frozen=True)
class _Eliminated:
    """What is left of columns, and the volume of what was eliminated.

    `coefficients` (point, coefficient, column) describe the columns; `volume`: log
    of the ratio of posterior to prior precision.
    """

    columns: FloatArray
    coefficients: FloatArray
    volume: float


def _eliminate(
    columns: FloatArray, own: FloatArray, precision: FloatArray, weight: FloatArray
) -> _Eliminated:
    """Return columns less what the coefficients of each point itself can describe.

    Parameters
    ----------
    columns : f8 (point, bin, column)
        What is left of them is returned.
    own : f8 (point, bin, coefficient)
        Templates of the point's own coefficients.
    precision : f8 (coefficient,)
        Of their prior around 0.
    weight : f8 (point, bin)
        Inverse variances.

    Returns
    -------
    _Eliminated
    """
    transposed = np.swapaxes(own * weight[..., None], 1, 2)
    normal = transposed @ own
    n_own = own.shape[-1]
    diagonal = np.arange(n_own)
    scale = np.trace(normal, axis1=1, axis2=2)[:, None] / n_own
    normal[:, diagonal, diagonal] += precision + 1e-9 * scale + 1e-300
    coefficients = np.linalg.solve(normal, transposed @ columns)
    volumes = np.linalg.slogdet(normal)[1]
    volumes -= np.log(precision[precision > 0]).sum()
    volume = float(volumes[weight.any(axis=1)].sum())
    rest = columns - own @ coefficients
    return _Eliminated(rest, np.asarray(coefficients, dtype=float), volume)


def _mean_of_neighbours(values: FloatArray) -> FloatArray:
    """Return the means (point, ...) over each point and the two beside it."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3)


def _smooth_rate(
    counts: FloatArray, seconds: FloatArray, size: tuple[int, int]
) -> FloatArray:
    """Return the mean rate (point, bin) of the bins around each, without itself.

    Parameters
    ----------
    counts, seconds : f8 (point, bin)
        Photons and exposure.
    size : tuple of int
        Points and bins to average over.

    Returns
    -------
    f8 (point, bin)
        With one count added to those around.
    """
    is_exposed = seconds > 0
    around = _sum_around(np.where(is_exposed, counts, 0.0), size) + 1.0
    seconds_around = _sum_around(np.where(is_exposed, seconds, 0.0), size)
    least = max(float(seconds.max()), 1e-9) * 1e-3
    return np.asarray(around / np.maximum(seconds_around, least))


def _sum_around(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return the sum over the bins around each bin, without itself."""
    from scipy.ndimage import uniform_filter  # takes long to load

    total = uniform_filter(values, size, mode="constant") * np.prod(size)
    return np.asarray(np.maximum(total - values, 0.0))
