"""`rixs_map.rixs`: regions and plots of an opened map, for notebooks and scripts.

import rixs_pipeline
rixs_map = rixs_pipeline.open_product("out/maps/LMR_RT-O_K.nxs")
rixs_map.rixs.spfy(523, 524).plot()
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import numpy as np
import xarray as xr

from rixs_pipeline.accessor_arguments import (
    ComparedRegion,
    FeatureOptions,
    Kind,
    RegionOptions,
    check_axes,
    check_choice,
    check_cmap,
    comparison_from,
    maps_by_sample,
    region_from,
    regions_from,
    with_options,
    with_window,
)
from rixs_pipeline.config import Region
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.errors import InputError, RixsWarning
from rixs_pipeline.schema import RIXS_MAP, check
from rixs_pipeline.stages.sample.compare_samples import compare_maps
from rixs_pipeline.stages.sample.configured_regions import (
    core_region,
    outlines_on_map,
    select_regions,
)
from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs, map_range
from rixs_pipeline.stages.sample.region_spectra import extract_and_check

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rixs_pipeline.accessor_arguments import Window


class RixsAccessor:
    """Spectra of a map as DataArrays with units; all limits are [low, high] in eV.

    Every spectrum has `intensity_errors`, `intensity_lower`, `intensity_upper`,
    `counts` and `exposure` as coordinates along its axis, and its region as attribute.
    What it should be looked at for is a `RixsWarning`.

    Raises
    ------
    InputError
        The dataset is not a map.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        what = (
            "`ds.rixs` requires a map (maps/*.nxs or scans/*.nxs), opened with "
            "rixs_pipeline.open_product(FILE)"
        )
        check(dataset, RIXS_MAP, what)
        if "edge" not in dataset.attrs:
            raise InputError(
                "`ds.rixs` requires the attributes of a map; open it with "
                "rixs_pipeline.open_product(FILE)"
            )
        if not _has_own_bins(dataset):
            raise InputError(
                "`ds.rixs` requires the emission axis of a map: not one that was "
                "selected, merged or summed; use limits such as "
                "`emission=[low, high]`, or select along incident_energy"
            )
        self._map = dataset
        self._inputs = SpectrumInputs()

    def __repr__(self) -> str:
        """Return what the map is, and what can be made of it."""
        rixs_map = self._map
        presets = ", ".join(select_regions(str(rixs_map.attrs["edge"]), None))
        return (
            f"RIXS map of {rixs_map.attrs['sample']} at {rixs_map.attrs['edge']}: "
            f"{rixs_map['counts'].values.sum():,} photons, {map_range(self._map)}\n"
            "spectra: pfy(low, high), spfy, ipfy, tfy(), xes(low, high), cut(energy), "
            "region(kind, ...)\n"
            "another map: compare(other, kind, ...)\n"
            "plots: plot_map(), plot_region(kind, ...)\n"
            f"regions of the edge by default: {presets}"
        )

    def _has_bins(self, region: Region) -> bool:
        """Return whether a region reaches into the map."""
        incident = self._map["incident_energy"].values
        edges = self._map["emission_energy_edges"].values
        return bool(region_weights(core_region(region), incident, edges).any())

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

    @with_options(RegionOptions)
    def spectrum(self, kind: Kind, **options: Unpack[RegionOptions]) -> xr.Dataset:
        """Return the spectrum of any region as in its product, features included.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        **options
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
        region = self._region(kind, {"kind": kind, **options})
        dataset, findings = extract_and_check(self._map, region, self._inputs)
        for finding in findings:
            _warn(f"{kind}: region {finding}")
        return dataset

    def _region(self, name: str, mapping: Mapping[str, Any]) -> Region:
        """Return a region from its keys; `name` is for messages.

        Raises
        ------
        ValueError
            An unknown key or value, another edge, or several cuts.
        """
        edge = str(self._map.attrs["edge"])
        region = region_from(str(name), dict(mapping))
        selected = select_regions(edge, {"region": region})
        if not selected:
            raise ValueError(f"`edge` must be {edge}, the edge of the map")
        if len(selected) > 1:
            raise ValueError(
                "`cuts` must have one element; extract one spectrum at a time"
            )
        (region,) = selected.values()
        return region

    @with_options(ComparedRegion)
    def compare(
        self,
        other: xr.Dataset,
        kind: Kind,
        *,
        factor: Literal["free", "known"] | Window = "free",
        window: Window | None = None,
        feature: FeatureOptions | None = None,
        **options: Unpack[ComparedRegion],
    ) -> xr.Dataset:
        """Compare a region of another map with that of this one: p and ratio.

        Parameters
        ----------
        other
            A map of the same edge, from the same reduction: errors that the energy
            scales share by their runs cancel.
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        factor
            Overall intensity of the other map: free (fitted), known (from the
            exposures), or fitted in a window [low, high] in eV.
        window
            Range [low, high] of the test on the axis of the spectrum, eV.
        feature
            A feature whose strength is compared: its `window`, a `baseline` without it,
            and `rest`, the keys of a region (by default a pfy) with the other emission.
        **options
            Further keys of the config's `regions`, except `scale`.

        Returns
        -------
        Dataset
            As in `comparisons/*.nxs`: `p`, `factor`, `ratio`, `ratio_p`, ... along
            `compared`, which has one element; intensities and their difference.

        Raises
        ------
        ValueError
            An unknown key or value, maps that cannot be compared, or nothing to test.
        """
        if not isinstance(other, xr.Dataset):
            raise ValueError(f"`other` must be a map, not {type(other).__name__}")
        if "scale" in options:
            raise ValueError("`scale` divides spectra; set `factor` in a comparison")
        maps = maps_by_sample(self._map, RixsAccessor(other)._map)
        regions = {str(kind): self._region(kind, {"kind": kind, **options})}
        if feature is not None and not isinstance(feature, Mapping):
            raise ValueError(
                '`feature` must be a mapping, such as {"window": [530, 532]}, '
                f"not {feature!r}"
            )
        compared_feature = None if feature is None else dict(feature)
        if compared_feature is not None:
            compared_feature["region"] = kind
            if rest := compared_feature.get("rest"):
                keys = cast("Mapping[str, Any]", rest)
                regions["rest"] = self._region("rest", {"kind": "pfy", **keys})
                compared_feature["rest"] = "rest"
        comparison = comparison_from(
            {
                "samples": list(maps),
                "scale": factor,
                "window": window,
                "feature": compared_feature,
            }
        )
        compared = compare_maps(maps, comparison, regions, self._inputs)
        for finding in compared.findings:
            _warn(finding)
        return compared.dataset

    @with_options(RegionOptions)
    def region(self, kind: Kind, **options: Unpack[RegionOptions]) -> xr.DataArray:
        """Return the intensity of any region, e.g. ``region("pfy", loss=[1, 6])``.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        **options
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
        dataset = self.spectrum(kind, **options)
        intensity = dataset["intensity"]
        coordinates = {}
        for name, variable in dataset.data_vars.items():
            is_along_axis = variable.dims == intensity.dims
            if name != "intensity" and is_along_axis:
                coordinates[str(name)] = variable
        with_errors = intensity.assign_coords(coordinates)
        return with_errors.assign_attrs(dataset.attrs)

    @with_options(RegionOptions)
    def pfy(
        self, *window: float | Window, **options: Unpack[RegionOptions]
    ) -> xr.DataArray:
        """Return the yield of a window, counts/s: ``pfy(762, 800)`` or a list."""
        return self.region("pfy", **with_window(options, "emission", window))

    @with_options(RegionOptions)
    def spfy(
        self, *window: float | Window, **options: Unpack[RegionOptions]
    ) -> xr.DataArray:
        """Return the yield of a narrow window, such as 523, 524 at the O K edge."""
        return self.region("spfy", **with_window(options, "emission", window))

    @with_options(RegionOptions)
    def ipfy(
        self, *window: float | Window, **options: Unpack[RegionOptions]
    ) -> xr.DataArray:
        """Return the inverse yield of a line that does not resonate, s/counts."""
        return self.region("ipfy", **with_window(options, "emission", window))

    @with_options(RegionOptions)
    def tfy(self, **options: Unpack[RegionOptions]) -> xr.DataArray:
        """Return the total fluorescence yield against incident energy, counts/s."""
        return self.region("tfy", **options)

    @with_options(RegionOptions)
    def xes(
        self, *window: float | Window, **options: Unpack[RegionOptions]
    ) -> xr.DataArray:
        """Return the emission spectrum of a band of incident energies."""
        return self.region("xes", **with_window(options, "incident", window))

    @with_options(RegionOptions)
    def cut(
        self, energy: float, width: float = 0.5, **options: Unpack[RegionOptions]
    ) -> xr.DataArray:
        """Return the emission spectrum at an incident energy.

        Parameters
        ----------
        energy, width
            Centre and full width of the band of incident energies, eV.
        **options
            Further keys of the config's `regions`.

        Returns
        -------
        DataArray
            counts/(s eV).
        """
        return self.xes(energy - width / 2, energy + width / 2, **options)

    def plot_map(
        self,
        *,
        ax: Axes | None = None,
        axis: Literal["emission", "loss"] = "emission",
        colours: Literal["sqrt", "log"] = "sqrt",
        cmap: str = "viridis",
        title: str = "",
        regions: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Figure:
        """Plot the map with its elastic line.

        Parameters
        ----------
        ax
            Axes of an own figure to draw in; default: a new figure with the whole map
            and its edge.
        axis
            Vertical axis: emission energy, or energy loss.
        colours
            How colours follow the intensity.
        cmap
            A colour map of matplotlib.
        title
            By default the sample.
        regions
            Regions to outline: name -> keys of the config's `regions`; not on a loss
            axis. Those of other edges are left out.

        Returns
        -------
        Figure
            Which a notebook shows.

        Raises
        ------
        ValueError
            A wrong argument; the message names it, and what is allowed.
        """
        from rixs_pipeline.plots import maps, style  # load matplotlib

        check_axes(ax)
        check_choice("axis", axis, ["emission", "loss"])
        check_choice("colours", colours, [scale.value for scale in maps.ColourScale])
        check_cmap(cmap)
        configured = regions_from(regions or {})
        attributes = self._map.attrs
        selected = select_regions(str(attributes["edge"]), configured)
        for name, region in selected.items():
            if not self._has_bins(region):
                covered = map_range(self._map)
                _warn(f"{name}: region contains no bin of the map: {covered}")
        scale = maps.ColourScale(colours)
        title = title or str(attributes.get("sample", ""))
        outlines = outlines_on_map(self._map, selected)
        if axis == "emission" and ax is None:
            return _shown(maps.map_figure(self._map, title, outlines, scale, cmap))
        if ax is None:
            ax = style.new_figure(7, 5.4, "").add_subplot()
        if axis == "emission":
            maps.draw_map_panel(ax, self._map, title, outlines, scale, cmap)
        elif selected:
            raise ValueError("`regions` are outlined on the emission axis only")
        else:
            maps.draw_loss_panel(ax, self._map, title, scale, cmap)
        return _shown(cast("Figure", ax.figure))

    @with_options(RegionOptions)
    def plot_region(
        self,
        kind: Kind,
        *,
        ax: Axes | None = None,
        title: str = "",
        **options: Unpack[RegionOptions],
    ) -> Figure:
        """Plot the spectrum of a region with its errors and 95 % interval.

        Parameters
        ----------
        kind
            pfy, spfy, ipfy, tfy, xes or elastic.
        ax
            Axes of an own figure to draw in; default: a new figure.
        title
            By default the kind.
        **options
            Further keys of the config's `regions`.

        Returns
        -------
        Figure
            Which a notebook shows.

        Raises
        ------
        ValueError
            A wrong argument, an unknown key or value, or a region without a bin; the
            message names it.
        """
        from rixs_pipeline.plots import spectra  # loads matplotlib

        check_axes(ax)
        spectrum = self.spectrum(kind, **options)
        if not spectrum["intensity"].size:
            raise ValueError(
                f"{kind}: region contains no bin of the map: {map_range(self._map)}"
            )
        if ax is None:
            return _shown(spectra.spectrum_figure(spectrum, title or kind))
        spectra.draw_spectrum_panel(ax, spectrum, title or kind)
        return _shown(cast("Figure", ax.figure))


def _warn(text: str) -> None:
    """Emit a `RixsWarning` at the line that called this module."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals is globals():
        frame, level = frame.f_back, level + 1
    warnings.warn(text, RixsWarning, stacklevel=level + 1)


def _shown(figure: Figure) -> Figure:
    """Let notebooks show a figure, also without `%matplotlib inline`."""

    def png() -> bytes:
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    vars(figure)["_repr_png_"] = png
    return figure


def _has_own_bins(dataset: xr.Dataset) -> bool:
    """Return whether the bins of emission are those of its map."""
    edges = dataset["emission_energy_edges"].values
    energy = dataset["emission_energy"].values
    if len(edges) != len(energy) + 1:
        return False
    return np.allclose((edges[1:] + edges[:-1]) / 2, energy)
