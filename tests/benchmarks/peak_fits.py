"""Line positions and widths, fitted independently of the package to measure its errors.

A line is its emitted shape, convolved with a Gaussian and with a tail towards low
energy (share f, decay length `TAIL_EV`), on a flat background; binned Poisson
likelihood, Fisher scoring, numerical derivatives. The formula is that of
docs/explanation/calibration.md, section 3; the code is not the package's.
"""

from dataclasses import dataclass

import numpy as np

FWHM = 2 * np.sqrt(2 * np.log(2))
TAIL_EV = 20.0
TAIL_SHARE = (0.15, 0.10)  # weak prior knowledge, for lines of few counts
BIN_EV, N_BINS = 0.1, 2048  # of the periodic grid on which the model is made
MU, LOG_SIGMA, LOG_COUNTS, TAIL, BACKGROUND = range(5)
LOWEST, HIGHEST = np.array([-30, -3, -5, 0, 1e-6]), np.array([30, 3, 25, 0.9, 1e9])
DELTA = (((0.0, 1e-9, 1.0),), 0.0)  # shape and sigma of a line that is emitted sharp


@dataclass(frozen=True)
class Peak:
    """A fitted line: position and Gaussian FWHM (eV), tail share, counts; errors."""

    position: float
    position_error: float
    fwhm: float
    fwhm_error: float
    tail: float
    counts: float


NO_PEAK = Peak(*[np.nan] * 6)


class Model:
    """Counts in the bins of a window around 0, for a line emitted as `shape`.

    `shape`: (offset, FWHM, share) of its components; `sigma` in eV.
    """

    def __init__(self, window, shape=DELTA):
        self.edges = (
            np.arange(round(window[0] / BIN_EV), round(window[1] / BIN_EV) + 1) * BIN_EV
        )
        first = round(window[0] / BIN_EV) + N_BINS // 2
        self.inside = slice(first, first + len(self.edges) - 1)
        self.k = k = 2 * np.pi * np.fft.rfftfreq(N_BINS, BIN_EV)
        (components, sigma), middle = shape, (0.5 - N_BINS // 2) * BIN_EV
        shares = sum(share for _, _, share in components)
        emitted = sum(
            share / shares * np.exp(-1j * k * x - k * width / 2)
            for x, width, share in components
        )
        self.emitted = (
            emitted
            * np.exp(-0.5 * (sigma * k) ** 2 + 1j * k * middle)
            * np.sinc(k * BIN_EV / (2 * np.pi))
        )

    def __call__(self, theta):
        """Expected counts (bin,) and their derivatives (parameter, bin)."""
        k, sigma, tail, lost = (
            self.k,
            np.exp(theta[LOG_SIGMA]),
            theta[TAIL],
            1 / (1 - 1j * self.k * TAIL_EV),
        )
        core = (
            np.exp(theta[LOG_COUNTS] - 1j * k * theta[MU] - 0.5 * (sigma * k) ** 2)
            * self.emitted
        )
        line = core * (1 - tail + tail * lost)
        parts = np.stack(
            [-1j * k * line, -((sigma * k) ** 2) * line, line, core * (lost - 1)]
        )
        slopes = np.fft.irfft(parts, n=N_BINS)[:, self.inside]
        expected = slopes[LOG_COUNTS] + theta[BACKGROUND]
        return np.maximum(expected, 1e-9), np.concatenate(
            [slopes, np.ones((1, slopes.shape[1]))]
        )


def fit(values, window, shape=DELTA, sigma=1.0) -> Peak:
    """Fit the line near 0 in `values` (event,), eV, within `window`.

    `sigma`: initial value of the resolution, eV. The result is NaN if the fit does not
    converge or has fewer than 10 counts.
    """
    model = Model(window, shape)
    counts, _ = np.histogram(values, model.edges)
    if counts.sum() < 10:
        return NO_PEAK
    theta, damping = _start(counts, model, sigma), 1e-3
    value, gradient, information = _likelihood(theta, counts, model)
    for _ in range(200):
        step = np.linalg.solve(
            information + damping * np.diag(np.diag(information)), gradient
        )
        trial = np.clip(theta + np.clip(step, *_reach(theta)), LOWEST, HIGHEST)
        new = _likelihood(trial, counts, model)
        gain = new[0] - value
        if gain < -1e-9:
            damping *= 8
            continue
        theta, (value, gradient, information), damping = (
            trial,
            new,
            max(damping / 8, 1e-9),
        )
        if gain < 1e-4:
            return _peak(theta, information)
    return NO_PEAK


def _start(counts, model, sigma):
    """Parameters to begin with: the highest place of the smoothed spectrum."""
    kernel = np.exp(-0.5 * (np.arange(-30, 31) * BIN_EV / sigma) ** 2)
    top = np.argmax(np.convolve(counts, kernel, "same"))
    return np.array(
        [
            model.edges[top],
            np.log(sigma),
            np.log(counts.sum()),
            0.15,
            0.05 * counts.mean() + 1e-3,
        ]
    )


def _reach(theta):
    """Return the limits of a single step, (low, high)."""
    reach = np.array([1.0, 0.5, 0.5, 0.3, max(theta[BACKGROUND], 1.0)])
    return -reach, reach


def _likelihood(theta, counts, model):
    """Log posterior, its gradient, and the expected information."""
    expected, slopes = model(theta)
    away = (theta[TAIL] - TAIL_SHARE[0]) / TAIL_SHARE[1]
    gradient = slopes @ (counts / expected - 1)
    gradient[TAIL] -= away / TAIL_SHARE[1]
    information = (slopes / expected) @ slopes.T
    information[TAIL, TAIL] += 1 / TAIL_SHARE[1] ** 2
    return (
        (counts * np.log(expected) - expected).sum() - 0.5 * away**2,
        gradient,
        information,
    )


def _peak(theta, information):
    free = theta > LOWEST + 1e-12  # a background of nothing has no error
    errors = np.full(len(theta), np.nan)
    errors[free] = np.sqrt(np.diag(np.linalg.inv(information[np.ix_(free, free)])))
    width = FWHM * np.exp(theta[LOG_SIGMA])
    return Peak(
        theta[MU],
        errors[MU],
        width,
        width * errors[LOG_SIGMA],
        theta[TAIL],
        float(np.exp(theta[LOG_COUNTS])),
    )


def half_maximum_width(values, window, bandwidth=0.5) -> float:
    """Full width at half maximum of a line, eV, from a kernel density of its photons.

    No line model is used.

    `bandwidth`: standard deviation of the kernel, eV, subtracted in quadrature. The
    tail is included in the width.
    """
    grid = np.arange(*window, 0.02)
    near = values[
        (values > window[0] - 4 * bandwidth) & (values < window[1] + 4 * bandwidth)
    ]
    density = np.exp(-0.5 * ((grid[:, None] - near) / bandwidth) ** 2).sum(axis=1)
    background = np.median(np.sort(density)[: len(density) // 3])
    top = int(np.argmax(density))
    half = (density[top] + background) / 2
    below, above = (
        np.flatnonzero(density[:top] < half),
        np.flatnonzero(density[top:] < half),
    )
    if not len(below) or not len(above):
        return np.nan
    width = grid[top + above[0]] - grid[below[-1]]
    return float(np.sqrt(max(width**2 - (FWHM * bandwidth) ** 2, 0.0)))
