"""Emission lines fit by fit, compiled: `core.line_shapes` and `core.line_fits` say in arrays what happens here."""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy.compile import compiled

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bool = NDArray[np.bool_]
Int = NDArray[np.intp]

# columns of theta, the parameters of a fit; the first four are the line's place and shape
SHIFT, LOG_SIGMA, TAIL, LOG_TAU, LOG_COUNTS, LOG_BACKGROUND = range(6)
N_FIT = 6
N_SHAPE = 3  # LOG_SIGMA, TAIL, LOG_TAU
N_COLUMNS = 5  # a line and its derivatives by the first four


@compiled
def transforms(emitted: Complex, line: Int, theta: Float, dk: float) -> Complex:
    """Transforms (n, N_COLUMNS, k) of n lines in the detector and their derivatives by the first four of `theta`.

    `emitted` (line, k) at the wave numbers k = 0, dk, 2 dk, ...; `line` (n,) its row. Phase and Gaussian by
    recurrence: no exponential a wave number.
    """
    n_k = emitted.shape[1]
    out = np.empty((len(line), N_COLUMNS, n_k), dtype=np.complex128)
    for i in range(len(line)):
        sigma, f, tau = (
            np.exp(theta[i, LOG_SIGMA]),
            theta[i, TAIL],
            np.exp(theta[i, LOG_TAU]),
        )
        turn = complex(np.cos(dk * theta[i, SHIFT]), -np.sin(dk * theta[i, SHIFT]))
        ratio = np.exp(
            -0.5 * (sigma * dk) ** 2
        )  # of neighbours of the Gaussian, which falls by its square each time
        fall = ratio * ratio
        gauss, rotation = 1.0, complex(1.0, 0.0)
        for j in range(n_k):
            k = j * dk
            narrow = emitted[line[i], j] * rotation * gauss
            spread = (1.0 + 1j * k * tau) / (1.0 + (k * tau) ** 2)
            whole = narrow * (1.0 - f + f * spread)
            out[i, 0, j] = whole
            out[i, 1, j] = -1j * k * whole
            out[i, 2, j] = -((sigma * k) ** 2) * whole
            out[i, 3, j] = narrow * (spread - 1.0)
            out[i, 4, j] = narrow * f * (1j * k * tau) * spread * spread
            rotation *= turn
            gauss *= ratio
            ratio *= fall
    return out


@compiled
def posterior(
    counts: Float,
    inside: Bool,
    line: Int,
    contents: Float,
    theta: Float,
    centre: Float,
    width: Float,
) -> tuple[Float, Float, Float]:
    """Log posterior (n,), its gradient (n, N_FIT) and expected information (n, N_FIT, N_FIT).

    `counts` (n, bin); `inside` (line, bin); `contents` (n, N_COLUMNS, bin) from `transforms`; `centre`, `width`
    (n, N_SHAPE) of the Gaussian priors.
    """
    n = len(counts)
    objective, gradient, information = (
        np.zeros(n),
        np.zeros((n, N_FIT)),
        np.zeros((n, N_FIT, N_FIT)),
    )
    column = np.empty(N_FIT)
    for i in range(n):
        number, background = (
            np.exp(theta[i, LOG_COUNTS]),
            np.exp(theta[i, LOG_BACKGROUND]),
        )
        for b in range(counts.shape[1]):
            if not inside[line[i], b]:
                continue
            for c in range(4):
                column[c] = number * contents[i, c + 1, b]
            column[LOG_COUNTS] = number * contents[i, 0, b]
            column[LOG_BACKGROUND] = background
            expected = max(column[LOG_COUNTS] + background, 1e-9)
            objective[i] += counts[i, b] * np.log(expected) - expected
            excess = counts[i, b] / expected - 1.0
            for p in range(N_FIT):
                gradient[i, p] += excess * column[p]
                weighted = column[p] / expected
                for q in range(p + 1):
                    information[i, p, q] += weighted * column[q]
        for s in range(N_SHAPE):
            pull = (theta[i, LOG_SIGMA + s] - centre[i, s]) / width[i, s]
            objective[i] -= 0.5 * pull**2
            gradient[i, LOG_SIGMA + s] -= pull / width[i, s]
            information[i, LOG_SIGMA + s, LOG_SIGMA + s] += 1.0 / width[i, s] ** 2
        for p in range(N_FIT):
            for q in range(p):
                information[i, q, p] = information[i, p, q]
    return objective, gradient, information
