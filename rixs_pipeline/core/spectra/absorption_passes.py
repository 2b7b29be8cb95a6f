"""Passes of a reading, normalised together to an absorption spectrum."""

from collections.abc import Sequence
from dataclasses import dataclass

from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Scale
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class NormalisedPasses:
    """Passes after normalisation.

    Attributes
    ----------
    values : list of f8 (point,)
        The passes.
    divisor : float
        What the last pass was divided by.
    sign : int
        -1 where the signal decreases at the edge: it is -1 at its minimum, or after its
        edge jump.
    has_linear_pre_edge : bool
        Whether a line was subtracted, not a constant.
    """

    values: list[FloatArray]
    divisor: float
    sign: int
    has_linear_pre_edge: bool

    def average(self) -> xas.PassAverage:
        """Return the mean of the passes with its standard error."""
        return xas.average_passes(self.values)


def normalise_passes(
    energy: FloatArray,
    passes: Sequence[FloatArray],
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_sloped: bool,
) -> NormalisedPasses:
    """Subtract the pre-edge line of each pass, and divide it by its maximum or jump.

    Parameters
    ----------
    energy : f8 (point,)
        Incident energies, eV.
    passes : sequence of f8 (point,)
        Any unit; NaN where a pass has no value.
    scale : Scale
        MAX or EDGE.
    windows : EdgeWindows
        Before and after the edge.
    is_sloped : bool
        For MAX: subtract a line, or else the mean before the edge.

    Returns
    -------
    NormalisedPasses
        All with the sign of their mean.
    """
    mean = xas.average_passes(passes).mean
    decreases = xas.decreases_at_edge(energy, mean, scale, windows, is_sloped)
    sign = -1 if decreases else 1
    values, divisor = [], 0.0
    for measured in passes:
        upward = sign * measured
        normalised = xas.normalise_absorption(energy, upward, scale, windows, is_sloped)
        values.append(sign * normalised.values)
        divisor = normalised.divisor
    has_linear_pre_edge = is_sloped or scale is Scale.EDGE
    return NormalisedPasses(values, divisor, sign, has_linear_pre_edge)
