"""`rixs_map.rixs`: regions and plots of an opened map, in a notebook as in the pipeline.

import rixs_pipeline
rixs_map = rixs_pipeline.open_product("out/maps/LMR_RT-O_K.nxs")
rixs_map.rixs.spfy([523, 524]).plot()
"""

from typing import TYPE_CHECKING, Any

import xarray as xr

from rixs_pipeline.config.models import Region
from rixs_pipeline.schema import RIXS_MAP, check
from rixs_pipeline.stages.sample import region_spectra as extract
from rixs_pipeline.stages.sample.configured_regions import (
    outlines_on_map,
    select_regions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure


@xr.register_dataset_accessor("rixs")  # type: ignore[no-untyped-call]  # xarray has no types for it
class RixsAccessor:
    """Spectra of a map as DataArrays with units; all limits are [low, high] in eV.

    Every spectrum carries `intensity_errors`, `intensity_lower`, `intensity_upper`, `counts` and `exposure` as
    coordinates along its axis, and the region that it is of in its attributes.

    Raises:
        InputError: the dataset is not a map.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        check(dataset, RIXS_MAP, "ds.rixs needs a map (maps/*.nxs or scans/*.nxs)")
        self._map = dataset
        self._known = extract.Beside()

    def using(
        self,
        config: "str | Path | None" = None,
        blanks: "Mapping[str, xr.Dataset] | None" = None,
    ) -> "RixsAccessor":
        """The same with what a run knows beside its map: efficiency, geometry, uncertainty of the energy scale.

        Args:
            config: a config file, such as out/config.yaml; None: the defaults.
            blanks: sample -> map, for backgrounds of `kind: blank`.

        Raises:
            ConfigError: the file has mistakes.
        """
        from pathlib import Path

        from rixs_pipeline.config.load import load_config
        from rixs_pipeline.config.reference_sets import load_reference_set

        loaded = load_config(Path(config) if config else None)
        reference = load_reference_set(
            loaded.calibration.reference, loaded.calibration.variants
        )
        found = RixsAccessor(self._map)
        found._known = extract.beside(loaded, reference, self._map, blanks or {})
        return found

    def spectrum(self, kind: str, **limits: Any) -> xr.Dataset:
        """The spectrum of any region as its product holds it, features and absorption as well.

        Raises:
            ValueError: a key or value that no region has, another edge, or several cuts; the message names it.
        """
        edge = str(self._map.attrs["edge"])
        regions = select_regions(
            edge, {"region": Region.model_validate({"kind": kind} | limits)}
        )
        if not regions:
            raise ValueError(f"edge: the map is of {edge}")
        if len(regions) > 1:
            raise ValueError("cuts: several are several spectra; ask for one at a time")
        return extract.extract_region(
            self._map, next(iter(regions.values())), self._known
        )

    def region(self, kind: str, **limits: Any) -> xr.DataArray:
        """The spectrum of any region, with the keys of the config's `regions`, e.g. `region("pfy", loss=[1, 6])`.

        Raises:
            ValueError: a key or value that no region has; the message names it.
        """
        dataset = self.spectrum(kind, **limits)
        spectrum = dataset["intensity"]
        beside = {
            str(name): dataset[name]
            for name in dataset.data_vars
            if name != "intensity"
        }
        named = {n: v for n, v in beside.items() if v.dims == spectrum.dims}
        return spectrum.assign_coords(named).assign_attrs(dataset.attrs)

    def pfy(self, emission: "Sequence[float]", **limits: Any) -> xr.DataArray:
        """Partial fluorescence yield of an emission window against incident energy, counts/s."""
        return self.region("pfy", emission=tuple(emission), **limits)

    def spfy(self, emission: "Sequence[float]", **limits: Any) -> xr.DataArray:
        """The same of a narrow window, such as [523, 524] at the O K edge."""
        return self.region("spfy", emission=tuple(emission), **limits)

    def ipfy(self, emission: "Sequence[float]", **limits: Any) -> xr.DataArray:
        """Inverse partial fluorescence yield of a line that does not resonate, s/counts."""
        return self.region("ipfy", emission=tuple(emission), **limits)

    def tfy(self, **limits: Any) -> xr.DataArray:
        """Total fluorescence yield against incident energy, counts/s."""
        return self.region("tfy", **limits)

    def xes(self, incident: "Sequence[float]", **limits: Any) -> xr.DataArray:
        """Emission spectrum of a band of incident energies, counts/(s eV)."""
        return self.region("xes", incident=tuple(incident), **limits)

    def cut(self, incident: float, width: float = 0.5, **limits: Any) -> xr.DataArray:
        """Emission spectrum at an incident energy: the points within half the `width` around it."""
        return self.xes((incident - width / 2, incident + width / 2), **limits)

    def plot_map(
        self, title: str = "", regions: "Mapping[str, Mapping[str, Any]] | None" = None
    ) -> "Figure":
        """The map with its elastic line; `regions` (name -> keys of a config's region) are framed."""
        from rixs_pipeline.plots.maps import map_figure

        edge = str(self._map.attrs.get("edge", ""))
        configured = {
            name: Region.model_validate(dict(region))
            for name, region in (regions or {}).items()
        }
        selected = select_regions(edge, configured)
        outlines = outlines_on_map(self._map, selected)
        return map_figure(
            self._map, title or str(self._map.attrs.get("sample", "")), outlines
        )

    def plot_region(self, kind: str, title: str = "", **limits: Any) -> "Figure":
        """A region's spectrum with its bars and its 95 % interval."""
        from rixs_pipeline.plots.spectra import spectrum_figure

        return spectrum_figure(self.spectrum(kind, **limits), title or kind)
