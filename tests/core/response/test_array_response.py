"""Which bins the fit of the tail uses, and a response without lines."""

import numpy as np

from rixs_pipeline.core.calibration.identification.line_identification import (
    FittedLines,
    ReferenceLine,
)
from rixs_pipeline.core.response.array_response import no_response, tail_bins

ENERGY = np.arange(800.0, 1060.0, 0.5)
SHARP = ((0.0, 0.5, 1.0),)
# Cu La with its Lb in the table, and elastic light 70 eV above La, 50 eV above Lb
CU = ReferenceLine("Cu_La", 930.0, 0.3, ((0.0, 1.0, 0.9), (20.0, 1.9, 0.1)))
ELASTIC = ReferenceLine("elastic", 1000.0, 1.0, SHARP)


def bins(*lines: ReferenceLine) -> list[tuple[float, float]]:
    fitted = FittedLines(lines, np.ones(len(lines), dtype=bool), np.empty(0))
    inside = tail_bins(fitted, np.tile(ENERGY, (len(lines), 1)))
    return [(ENERGY[row].min(), ENERGY[row].max()) for row in inside]


def test_a_line_alone_is_fitted_far_down() -> None:
    ((low, high),) = bins(CU)
    assert (low, high) == (860.5, 957.5)


def test_the_tail_of_a_line_ends_above_all_peaks_of_the_next_one() -> None:
    """Lb in the table of a lower line is not taken for the tail of a higher one."""
    _, (low, high) = bins(CU, ELASTIC)
    assert (low, high) == (970.5, 1027.5)


def test_without_lines_all_is_unknown() -> None:
    response = no_response(2, 3)
    assert response.tail is None
    assert np.isnan(response.line_width.values).all()
    assert response.resolution.pixel.values.shape == (2,)
