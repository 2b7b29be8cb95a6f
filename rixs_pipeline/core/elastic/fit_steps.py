"""Steps of the fit of the elastic line: the equations of `elastic_fit` at one offset.

Each step solves the score equations of the Poisson likelihood: weighted least squares
with the inverse of the expected counts as weights. These are the counts around
each bin without itself, so that weights do not follow the noise that they weight. The
estimate is then linear in the counts, and its covariance with any sum of the same
counts is known. The evidence takes the misfit of the solution by the Poisson
likelihood: by least squares single photons where few are expected would decide.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind, free_model, smooth_model
from rixs_pipeline.core.elastic.eliminate import eliminate, mean_of_neighbours
from rixs_pipeline.core.elastic.fit_windows import FitWindows, find_windows, smooth_rate
from rixs_pipeline.core.elastic.fitted_line import (
    CONSTANT,
    N_SHARED,
    NONLINEAR,
    OFFSET,
    SHIFT_EV,
    ElasticFit,
    ElasticOptions,
    ResponsePrior,
    Solution,
    line_changes,
)
from rixs_pipeline.core.elastic.fluorescence import (
    LOSS_SPACING,
    MIN_LOSS_SPACING_EV,
    MapBand,
    cut_profile,
    learn_profile,
    loss_splines,
)
from rixs_pipeline.core.elastic.line_templates import LineResponse, detected_line
from rixs_pipeline.types import FloatArray

MAX_LOSS_EV = 8.0  # energy loss down to which the fit reaches, at least
LOSS_FWHMS = 4.0  # the same in widths of the line
ABOVE_FWHMS = 2.0  # energy above the line up to which it reaches, in widths of it ...
ABOVE_EV = 1.0  # ... and besides
LARGEST_LOG_STEP = 0.3
LARGEST_LOG = 0.9  # the response is known within a factor of 2.5
SEARCHED_EV = 4.0  # range of the first search where the offset is unknown
LARGEST_SHIFT_EV = 0.5  # of the offset in one step
# points and bins whose counts are averaged for weights, at constant emission and loss
SMOOTHED = (3, 5)
SMOOTHED_AT_LOSS = (5, 3)
NEAR_FWHMS = 1.2  # widths of the line around it in which counts follow its energy
# prior standard deviation of the common inelastic light in one spline, over the yield
COMMON_LOSS = 0.5
FIXED = 1e-4  # standard deviation of a parameter that is not fitted
# Least expected counts, over those around the bin: linear least squares allow below 0.
LEAST_EXPECTED = 0.1
RIDGE = 1e-12  # of the mean information, against parameters without any


@dataclass(frozen=True)
class _Design:
    """Derivatives `columns`, the `splines` among them, and expected `variance`."""

    columns: FloatArray
    splines: FloatArray
    variance: FloatArray


class ElasticSteps:
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
            # light that lost energy resonates: while the offset is sought, a line that
            # may resonate takes its place where counts are few
            self.model = smooth_model(
                band.incident, band.yields(offset), may_resonate=not is_searching
            )
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

    def _find_windows(self, offset: float) -> FitWindows:
        """Return the windows of all points around an offset."""
        fwhm = self.prior.response.fwhm
        below = max(MAX_LOSS_EV, LOSS_FWHMS * fwhm)
        above = ABOVE_FWHMS * fwhm + ABOVE_EV + SEARCHED_EV * self.is_searching
        return find_windows(self.band, offset, below, above)

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

    def solve(self) -> Solution:
        """Solve the linear equations of one step and keep the amplitude."""
        design = self._design()
        own_templates, own_precision = self._own_templates(design.splines)
        weight = self.windows.is_inside / design.variance
        n_amplitude = self.model.basis.shape[1]
        current = np.zeros(design.columns.shape[-1])
        current[n_amplitude:][NONLINEAR] = [self.offset, *self.logs]
        counts = np.take_along_axis(self.band.counts, self.windows.columns, axis=1)
        target = counts + design.columns @ current
        columns = np.concatenate([design.columns, target[..., None]], axis=-1)
        rest = eliminate(columns, own_templates, own_precision, weight)
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
        residuals = rest.columns @ np.append(-parameters, 1.0)
        excess = _poisson_excess(counts, residuals, design.variance)
        misfit += float(excess[self.windows.is_inside].sum())
        has_prior = precision > 0
        volume = np.linalg.slogdet(posterior)[1] - np.log(precision[has_prior]).sum()
        self.solution = Solution(
            parameters=parameters,
            covariance=(covariance + covariance.T) / 2,
            sensitivity=weight[..., None] * rest.columns[..., :-1],
            variance=design.variance,
            columns=self.windows.columns,
            evidence=-(misfit + rest.volume + float(volume)) / 2,
        )
        own_shares = rest.coefficients @ np.append(-parameters, 1.0)
        self.own_shares = mean_of_neighbours(own_shares)
        self.common_loss = parameters[n_amplitude + N_SHARED :]
        self._update_amplitude()
        return self.solution

    def _design(self) -> _Design:
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
            changes = line_changes(self.response, distances)
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
        at_emission = smooth_rate(band.counts, seconds, SMOOTHED)
        at_emission = np.take_along_axis(at_emission, windows.columns, axis=1)
        counts = np.take_along_axis(band.counts, windows.columns, axis=1)
        seconds = band.exposure[:, None] * windows.is_inside
        at_loss = smooth_rate(counts, seconds, SMOOTHED_AT_LOSS)
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
            templates, _ = self._own_templates(splines)
            content = splines @ self.common_loss
            contents.append(content + (templates @ self.own_shares[..., None])[..., 0])
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
        templates = np.concatenate([splines, cut], axis=-1)
        return templates, np.concatenate([precision, np.zeros(cut.shape[-1])])

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


def _poisson_excess(
    counts: FloatArray, residuals: FloatArray, variance: FloatArray
) -> FloatArray:
    """Return the Poisson deviance (point, bin) less the squares of least squares."""
    from scipy.special import xlogy  # takes long to load

    expected = np.maximum(counts - residuals, LEAST_EXPECTED * variance)
    deviance = 2 * (expected - counts + xlogy(counts, counts / expected))
    return np.asarray(deviance - residuals**2 / variance)
