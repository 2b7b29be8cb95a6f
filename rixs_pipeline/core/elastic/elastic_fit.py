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
There the amplitude does not resonate, as losses do.

The steps from there are those of `fit_steps`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.elastic.fit_steps import FIXED, SEARCHED_EV, ElasticSteps
from rixs_pipeline.core.elastic.fitted_line import (
    ElasticFit,
    ElasticOptions,
    ResponsePrior,
)
from rixs_pipeline.core.elastic.fluorescence import DEVIATIONS, MapBand

N_STEPS = 6
SEARCH_STEP_EV = 1.0
REFINED_STEPS_EV = (0.5, 0.25)  # around the best offset, one after the other
SEARCH_WIDTH_EV = 2.0  # prior standard deviation
OFFSET_WIDTH_EV = 0.5  # prior standard deviation around the offset of most evidence


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
    state = ElasticSteps(band, prior, options, best.value, best.deviation)
    state.offset_prior = (best.value, best.width)
    for _ in range(N_STEPS):
        state.step()
    fit = state.result()
    # the amplitude may resonate in the steps, but not in the search: what that changes
    change = max(abs(fit.offset - best.value) - REFINED_STEPS_EV[-1] / 2, 0.0)
    return replace(fit, offset_error=float(np.hypot(fit.offset_error, change)))


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
            state = ElasticSteps(
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
