"""What users should know about a region: what it includes, and where it is fitted."""

from __future__ import annotations

from collections.abc import Mapping

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineTest,
    LineWindow,
    choose_line,
)
from rixs_pipeline.core.spectra.region_checks import find_unintended
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import Region, Scale
from rixs_pipeline.core.spectra.yields import ExtractionInputs
from rixs_pipeline.types import Edge, FloatArray


def choose_emission_line(
    region: Region, data: MapData, edge: Edge
) -> LineWindow | None:
    """Choose the emission line of an inverse yield that does not name one.

    Parameters
    ----------
    region
        An inverse yield; none is chosen where it has limits in emission.
    data
        The map.
    edge
        Edge of the map.

    Returns
    -------
    LineWindow or None

    Raises
    ------
    ValueError
        The map has no suitable line.
    """
    has_limits = region.emission or region.polygon or region.pieces or region.loss
    return None if has_limits else choose_line(data, edge)


def check_region(
    region: Region,
    data: MapData,
    inputs: ExtractionInputs,
    lines: Mapping[str, float],
    line_test: LineTest | None = None,
) -> list[str]:
    """Check what a region includes and where its spectrum is fitted.

    Parameters
    ----------
    region
        The region.
    data
        The map.
    inputs
        What the spectrum depends on besides these.
    lines
        Emission lines of the reference set, name -> eV.
    line_test
        Of the line of an inverse yield.

    Returns
    -------
    list of str
        Warnings that continue "region 'X' ...".
    """
    warnings: list[str] = []
    if inputs.edge is not None:
        weights = region_weights(region, data.incident, data.emission_edges)
        warnings += find_unintended(region, data, weights, inputs.edge, lines)
    if line_test is not None:
        warnings += _line_warnings(line_test)
    if region.scale is Scale.EDGE:
        warnings += _window_warnings(region, inputs, data.incident)
    return warnings


def _line_warnings(test: LineTest) -> list[str]:
    """Return a warning where the line of an inverse yield resonates."""
    if test.rises:
        return [
            "is based on a line that rises with the emission of the scanned element "
            f"(correlation {test.correlation:.2f}); choose another line in `emission`"
        ]
    if test.leaks:
        return [
            f"includes the detector's tail of the scanned element's emission, "
            f"{100 * test.leak:.0f} % of its photons; choose another line in "
            "`emission`, or subtract `background: {kind: leak}`"
        ]
    if test.passed:
        return []
    return [f"is based on a line whose shape changes over the scan (p = {test.p:.1g})"]


def _window_warnings(
    region: Region, inputs: ExtractionInputs, incident: FloatArray
) -> list[str]:
    """Return a warning for each default edge window that a scan does not reach."""
    windows = inputs.edge_windows(region, incident)
    warnings = []
    for window_name in windows.unreached if windows else ():
        low, high = getattr(windows, window_name)
        warnings.append(
            f"has too few points in the default {window_name} window; fitted from "
            f"{low:.1f} to {high:.1f} eV (set `{window_name}`)"
        )
    return warnings
