"""Elimination of what each point of a map has of its own from least squares."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class Eliminated:
    """What is left of columns, and the volume of what was eliminated.

    `coefficients` (point, coefficient, column) describe the columns; `volume`: log
    of the ratio of posterior to prior precision.
    """

    columns: FloatArray
    coefficients: FloatArray
    volume: float


def eliminate(
    columns: FloatArray,
    templates: FloatArray,
    precision: FloatArray,
    weight: FloatArray,
) -> Eliminated:
    """Return columns less what the coefficients of each point itself can describe.

    Parameters
    ----------
    columns : f8 (point, bin, column)
        What is left of them is returned.
    templates : f8 (point, bin, coefficient)
        Templates of the point's own coefficients.
    precision : f8 (coefficient,)
        Of their prior around 0.
    weight : f8 (point, bin)
        Inverse variances.

    Returns
    -------
    Eliminated
    """
    transposed = np.swapaxes(templates * weight[..., None], 1, 2)
    normal = transposed @ templates
    n_templates = templates.shape[-1]
    diagonal = np.arange(n_templates)
    scale = np.trace(normal, axis1=1, axis2=2)[:, None] / n_templates
    normal[:, diagonal, diagonal] += precision + 1e-9 * scale + 1e-300
    coefficients = np.linalg.solve(normal, transposed @ columns)
    volumes = np.linalg.slogdet(normal)[1]
    volumes -= np.log(precision[precision > 0]).sum()
    volume = float(volumes[weight.any(axis=1)].sum())
    rest = columns - templates @ coefficients
    return Eliminated(rest, np.asarray(coefficients, dtype=float), volume)


def mean_of_neighbours(values: FloatArray) -> FloatArray:
    """Return the means (point, ...) over each point and the two beside it."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3)
