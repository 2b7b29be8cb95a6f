"""`rixs_map.rixs`: regions and plots of an opened map, for notebooks and scripts.

import rixs_pipeline
rixs_map = rixs_pipeline.open_product("out/maps/LMR_RT-O_K.nxs")
rixs_map.rixs.spfy([523, 524]).plot()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from rixs_pipeline.config import Region
from rixs_pipeline.schema import RIXS_MAP, check
from rixs_pipeline.stages.sample.configured_regions import (
    outlines_on_map,
    select_regions,
)
from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs
from rixs_pipeline.stages.sample.region_spectra import extract_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    Window = Sequence[float]  # [low, high], eV


# xarray has no types for its decorator
@xr.register_dataset_accessor("rixs")  # type: ignore[no-untyped-call]
class RixsAccessor:
    """Spectra of a map as DataArrays with units; all limits are [low, high] in eV.

    Every spectrum has `intensity_errors`, `intensity_lower`, `intensity_upper`,
    `counts` and `exposure` as coordinates along its axis, and its region as attribute.

    Raises
    ------
    InputError
        The dataset is not a map.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        check(dataset, RIXS_MAP, "`ds.rixs` requires a map (maps/*.nxs or scans/*.nxs)")
        self._map = dataset
        self._inputs = SpectrumInputs()

    def using(
        self,
        config: str | Path | None = None,
        blanks: Mapping[str, xr.Dataset] | None = None,
    ) -> RixsAccessor:
        """Return the accessor with efficiency, geometry and energy scale of a run.

        Parameters
        ----------
        config
            A config file, such as ``out/config.yaml``; None: the defaults.
        blanks
            Sample -> map, for backgrounds of ``kind: blank``.

        Returns
        -------
        RixsAccessor

        Raises
        ------
        ConfigError
            The file has mistakes.
        """
        # these load a YAML reader, which most notebooks do not need
        from rixs_pipeline.config.load import load_config
        from rixs_pipeline.config.reference_sets import load_reference_set

        path = Path(config) if config else None
        loaded = load_config(path, is_trusted=True)  # executes nothing
        calibration = loaded.calibration
        name, variants = calibration.reference, calibration.variants
        reference = load_reference_set(name, variants)
        accessor = RixsAccessor(self._map)
        accessor._inputs = SpectrumInputs.from_config(
            loaded, reference, self._map, blanks or {}
        )
        return accessor

    def spectrum(self, kind: str, **limits: Any) -> xr.Dataset:
        """Return the spectrum of any region as in its product, features included.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        **limits
            Further keys of the config's `regions`.

        Returns
        -------
        Dataset
            As `schema.spectrum`.

        Raises
        ------
        ValueError
            An unknown key or value, another edge, or several cuts.
        """
        edge = str(self._map.attrs["edge"])
        mapping = {"kind": kind} | limits
        region = Region.model_validate(mapping)
        configured = {"region": region}
        selected = select_regions(edge, configured)
        if not selected:
            raise ValueError(f"`edge` must be {edge}, the edge of the map")
        if len(selected) > 1:
            raise ValueError(
                "`cuts` must have one element; extract one spectrum at a time"
            )
        (region,) = selected.values()
        return extract_region(self._map, region, self._inputs)

    def region(self, kind: str, **limits: Any) -> xr.DataArray:
        """Return the intensity of any region, e.g. ``region("pfy", loss=[1, 6])``.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        **limits
            Further keys of the config's `regions`.

        Returns
        -------
        DataArray
            With errors, counts and exposure as coordinates.

        Raises
        ------
        ValueError
            An unknown key or value; the message names it.
        """
        dataset = self.spectrum(kind, **limits)
        intensity = dataset["intensity"]
        coordinates = {}
        for name, variable in dataset.data_vars.items():
            is_along_axis = variable.dims == intensity.dims
            if name != "intensity" and is_along_axis:
                coordinates[str(name)] = variable
        with_errors = intensity.assign_coords(coordinates)
        return with_errors.assign_attrs(dataset.attrs)

    def pfy(self, emission: Window, **limits: Any) -> xr.DataArray:
        """Return the fluorescence yield of an emission window, counts/s."""
        limits["emission"] = tuple(emission)
        return self.region("pfy", **limits)

    def spfy(self, emission: Window, **limits: Any) -> xr.DataArray:
        """Return the yield of a narrow window, such as [523, 524] at the O K edge."""
        limits["emission"] = tuple(emission)
        return self.region("spfy", **limits)

    def ipfy(self, emission: Window, **limits: Any) -> xr.DataArray:
        """Return the inverse yield of a line that does not resonate, s/counts."""
        limits["emission"] = tuple(emission)
        return self.region("ipfy", **limits)

    def tfy(self, **limits: Any) -> xr.DataArray:
        """Return the total fluorescence yield against incident energy, counts/s."""
        return self.region("tfy", **limits)

    def xes(self, incident: Window, **limits: Any) -> xr.DataArray:
        """Return the emission spectrum of a band of incident energies."""
        limits["incident"] = tuple(incident)
        return self.region("xes", **limits)

    def cut(self, incident: float, width: float = 0.5, **limits: Any) -> xr.DataArray:
        """Return the emission spectrum at an incident energy.

        Parameters
        ----------
        incident, width
            Centre and full width of the band of incident energies, eV.
        **limits
            Further keys of the config's `regions`.

        Returns
        -------
        DataArray
            counts/(s eV).
        """
        low = incident - width / 2
        high = incident + width / 2
        return self.xes((low, high), **limits)

    def plot_map(
        self, title: str = "", regions: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Figure:
        """Plot the map with its elastic line.

        Parameters
        ----------
        title
            By default the sample.
        regions
            Regions to outline: name -> keys of the config's `regions`.

        Returns
        -------
        Figure
        """
        from rixs_pipeline.plots.maps import map_figure  # loads matplotlib

        configured = {}
        for name, mapping in (regions or {}).items():
            keys = dict(mapping)
            configured[name] = Region.model_validate(keys)
        attributes = self._map.attrs
        edge = str(attributes.get("edge", ""))
        selected = select_regions(edge, configured)
        outlines = outlines_on_map(self._map, selected)
        sample = str(attributes.get("sample", ""))
        return map_figure(self._map, title or sample, outlines)

    def plot_region(self, kind: str, title: str = "", **limits: Any) -> Figure:
        """Plot the spectrum of a region with its errors and 95 % interval.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        title
            By default the kind.
        **limits
            Further keys of the config's `regions`.

        Returns
        -------
        Figure
        """
        from rixs_pipeline.plots.spectra import spectrum_figure  # loads matplotlib

        spectrum = self.spectrum(kind, **limits)
        return spectrum_figure(spectrum, title or kind)
