"""Write products of a reduction for other programs."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.export import (
    features,
    igor,
    map_formats,
    nexus_files,
    text_formats,
)
from rixs_pipeline.io.export.spectrum import Spectrum, read_comparison, read_spectra
from rixs_pipeline.io.nexus_groups import is_pfy
from rixs_pipeline.paths import export_folder, photon_list, safe_name

LOG = logging.getLogger(__name__)

XAS_PREFIX = "XAS_"  # of the channel, in names of files
FEATURES_TABLE = "features.csv"


@dataclass(frozen=True)
class _SpectrumFormat:
    """How spectra are written, one file each."""

    extension: str
    write: Callable[[Path, Spectrum], None]
    has_nan: bool = False  # whether it can hold points without a number
    has_emission: bool = True  # whether it can hold emission spectra
    has_comparisons: bool = False


_SPECTRUM_FORMATS = {
    "xdi": _SpectrumFormat("xdi", text_formats.write_xdi, has_emission=False),
    "athena": _SpectrumFormat("dat", text_formats.write_athena),
    "csv": _SpectrumFormat(
        "csv", text_formats.write_csv, has_nan=True, has_comparisons=True
    ),
    "itx": _SpectrumFormat("itx", igor.write_waves, has_nan=True, has_comparisons=True),
}
_MAP_FORMATS: dict[str, tuple[str, Callable[[Path, Any], None]]] = {
    "csv": ("csv", map_formats.write_map_csv),
    "itx": ("itx", igor.write_map_waves),
    "netcdf": ("nc", map_formats.write_netcdf),
}
_COPIES = {"nexus": nexus_files.copy, "tiled": nexus_files.copy_without_scales}
FORMATS = (
    "xdi",
    "athena",
    "csv",
    "nexus",
    "photons",
    "itx",
    "netcdf",
    "nxxas",
    "features",
    "tiled",
)
# what formats that cannot hold all spectra are for
_HELD = {
    "xdi": "spectra against incident energy",
    "athena": "spectra with an intensity",
    "nxxas": "partial fluorescence yields",
}
# folder of products -> what names of copies end with
_COPIED_FOLDERS = {
    "spectra": "",
    "xas": "-XAS",
    "maps": "-map",
    "comparisons": "-comparison",
}


@dataclass(frozen=True)
class Selection:
    """What is exported.

    Attributes
    ----------
    samples : collection of str
        Names; empty: all.
    regions : collection of str
        Names of regions and of channels; empty: all. Maps have none.
    excluded : collection of str
        Files of products that are not exported, such as `maps/LMR_RT-Co_L.nxs`.
    """

    samples: Collection[str] = ()
    regions: Collection[str] = ()
    excluded: Collection[str] = ()

    @property
    def is_everything(self) -> bool:
        """Whether all samples and regions are selected."""
        return not self.samples and not self.regions

    def has_sample(self, samples: Iterable[str]) -> bool:
        """Return whether a product of these samples is selected."""
        return not self.samples or not set(samples).isdisjoint(self.samples)

    def has_region(self, region: str) -> bool:
        """Return whether a region is selected."""
        return not self.regions or region in self.regions


EVERYTHING = Selection()


def export(
    out: Path, formats: Iterable[str], selection: Selection = EVERYTHING
) -> list[Path]:
    """Write the products of an output folder in other formats.

    To `export/<format>/<sample>-<edge>-<REGION>.<ext>`, absorption spectra (TEY, TFY,
    normalised PFY) with `XAS_` before their channel. `nexus` copies the .nxs files,
    `tiled` does so without dimension scales, `photons` the photon list of every scan. A
    spectrum without a single number is left out of formats that cannot hold it, with a
    warning.

    Parameters
    ----------
    out
        Output folder of a run.
    formats
        Some of `FORMATS`.
    selection
        Samples and regions.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        An unknown format, sample or region, or formats that can hold nothing of them.
    InputError
        No spectra (no photon lists) in the folder, or a file that is not a product.
    """
    formats = list(formats)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(
            f"unknown export format '{', '.join(unknown)}'; choose from "
            f"{', '.join(FORMATS)}"
        )
    if formats != ["photons"]:
        _require_spectra(out, selection)
    _check_selection(out, selection)
    written: list[Path] = []
    empty = []
    for name in formats:
        files = list(_export_format(out, name, selection))
        written += files
        if not files:
            held = _HELD.get(name, "products")
            empty.append(f"nothing exported as {name}, which holds only {held}")
    if not written:
        raise UsageError(f"{out}: {'; '.join(empty)}; choose another format")
    for line in empty:
        LOG.warning("%s: %s", out, line)
    return written


def missing_from_export(
    made: Iterable[str], formats: Iterable[str], selection: Selection
) -> list[str]:
    """Return the products that an export should have, of those that are not there.

    Parameters
    ----------
    made
        Files of products, such as `maps/LMR_RT-Co_L.nxs`.
    formats
        Some of `FORMATS`.
    selection
        Samples and regions.

    Returns
    -------
    list of str
        Files.
    """
    folders = {folder for name in formats for folder in _read_folders(name)}
    prefixes = tuple(f"{safe_name(sample)}-" for sample in selection.samples) or ("",)
    return [
        file
        for file in made
        if (path := PurePosixPath(file)).parent.name in folders
        and path.name.startswith(prefixes)
    ]


def _read_folders(name: str) -> set[str]:
    """Return the folders whose products a format is made from."""
    if name in _COPIES:
        return {*_COPIED_FOLDERS}
    folders = {"photons"} if name == "photons" else set()
    if name in ("features", "nxxas"):
        folders.add("spectra")
    if name in _SPECTRUM_FORMATS:
        folders |= {"spectra", "xas"}
        if _SPECTRUM_FORMATS[name].has_comparisons:
            folders.add("comparisons")
    if name in _MAP_FORMATS:
        folders.add("maps")
    return folders


def _export_format(out: Path, name: str, selection: Selection) -> Iterator[Path]:
    """Write all files of one format, and yield them."""
    folder = export_folder(out, name)
    if name in _COPIES:
        yield from _export_copies(out, folder, name, selection)
    elif name == "photons":
        yield from _export_photons(out, folder, selection)
    elif name == "features":
        yield from _export_features(out, folder, selection)
    elif name == "nxxas":
        yield from _export_nxxas(out, folder, selection)
    if name in _SPECTRUM_FORMATS:
        yield from _export_spectra(out, folder, name, selection)
    if name in _MAP_FORMATS:
        yield from _export_maps(out, folder, name, selection)


def _products(out: Path, folder: str, selection: Selection) -> list[Path]:
    """Return the products in a folder that have a selected sample and region."""
    files = _files(out, folder, selection)
    if selection.is_everything:
        return files
    return [path for path in files if _is_selected(path, selection)]


def _files(
    out: Path, folder: str, selection: Selection, pattern: str = "*.nxs"
) -> list[Path]:
    """Return the products in a folder that are not excluded."""
    return [
        path
        for path in sorted((out / folder).glob(pattern))
        if f"{folder}/{path.name}" not in selection.excluded
    ]


def _is_selected(path: Path, selection: Selection) -> bool:
    if not selection.has_sample(_samples(path)):
        return False
    is_map = path.parent.name == "maps"
    return is_map or any(map(selection.has_region, nexus.entry_names(path)))


def _samples(path: Path) -> list[str]:
    """Return the samples of a product; a comparison has several."""
    attributes = nexus.read_attributes(path, names=("sample",))
    if "sample" in attributes:
        return [str(attributes["sample"])]
    return list(map(str, nexus.read_values(path, "sample", nexus.entry_names(path)[0])))


def _check_selection(out: Path, selection: Selection) -> None:
    """Refuse names of samples and regions that no product has."""
    files = [
        path
        for folder in ("maps", "spectra", "xas")
        for path in _files(out, folder, selection)
    ]
    if selection.samples:
        known = {sample for path in files for sample in _samples(path)}
        _check_names("sample", selection.samples, known)
    if selection.regions:
        known = {
            name
            for path in files
            if path.parent.name != "maps"
            for name in nexus.entry_names(path)
        }
        _check_names("region", selection.regions, known)


def _check_names(what: str, selected: Collection[str], known: set[str]) -> None:
    missing = [name for name in selected if name not in known]
    if missing:
        raise UsageError(
            f"no {what} '{', '.join(missing)}'; choose from {', '.join(sorted(known))}"
        )


def _require_spectra(out: Path, selection: Selection) -> None:
    if not _files(out, "spectra", selection):
        raise InputError(
            f"{out}: no spectra (spectra/*.nxs); run "
            f"`rixs-pipeline run BEAMTIME -o {out}` first"
        )


def _export_copies(
    out: Path, folder: Path, name: str, selection: Selection
) -> Iterator[Path]:
    """Copy whole products."""
    for product_folder, ending in _COPIED_FOLDERS.items():
        for path in _products(out, product_folder, selection):
            target = folder / f"{path.stem}{ending}.nxs"
            _COPIES[name](path, target)
            yield target


def _export_photons(out: Path, folder: Path, selection: Selection) -> Iterator[Path]:
    """Copy the photon lists of scans."""
    pattern = photon_list(out, "*")
    files = _files(out, pattern.parent.name, selection, pattern.name)
    if not files:
        raise InputError(
            f"{out}: no calibrated photons; set `map: {{keep_photons: true}}` in the "
            "config and run again"
        )
    for path in files:
        if not selection.samples or selection.has_sample(_samples(path)):
            nexus_files.copy(path, folder / path.name)
            yield folder / path.name


def _export_spectra(
    out: Path, folder: Path, name: str, selection: Selection
) -> Iterator[Path]:
    """Write spectra, absorption spectra and, where it can, comparisons."""
    spectrum_format = _SPECTRUM_FORMATS[name]
    sources = [("spectra", "", read_spectra), ("xas", XAS_PREFIX, read_spectra)]
    if spectrum_format.has_comparisons:
        sources.append(("comparisons", "", read_comparison))
    for product_folder, prefix, read in sources:
        for path in _products(out, product_folder, selection):
            for region, spectrum in read(path).items():
                if not selection.has_region(region):
                    continue
                if not _can_hold(spectrum_format, name, spectrum, f"{path}: {region}"):
                    continue
                extension = spectrum_format.extension
                target = folder / f"{path.stem}-{prefix}{safe_name(region)}.{extension}"
                spectrum_format.write(target, spectrum)
                yield target


def _can_hold(
    spectrum_format: _SpectrumFormat, name: str, spectrum: Spectrum, where: str
) -> bool:
    """Return whether a format can hold a spectrum; report what it cannot."""
    if spectrum.axis != "incident_energy" and not spectrum_format.has_emission:
        LOG.info("%s: an emission spectrum; not exported as %s", where, name)
        return False
    if not spectrum.has_numbers and not spectrum_format.has_nan:
        LOG.warning("%s has no intensity at any point; not exported as %s", where, name)
        return False
    return True


def _export_maps(
    out: Path, folder: Path, name: str, selection: Selection
) -> Iterator[Path]:
    extension, write = _MAP_FORMATS[name]
    for path in _products(out, "maps", selection):
        target = folder / f"{path.stem}-map.{extension}"
        write(target, nexus.read_entry(path))
        yield target


def _export_features(out: Path, folder: Path, selection: Selection) -> Iterator[Path]:
    """Write one table of the features of all spectra."""
    rows = []
    for path in _products(out, "spectra", selection):
        spectra = nexus.read_entries(path)
        selected = {n: s for n, s in spectra.items() if selection.has_region(n)}
        rows += features.feature_rows(selected)
    if not rows:
        raise InputError(
            f"{out}: no features; set `features` of a region in the config"
        )
    features.write_features(folder / FEATURES_TABLE, rows)
    yield folder / FEATURES_TABLE


def _export_nxxas(out: Path, folder: Path, selection: Selection) -> Iterator[Path]:
    """Write every PFY as a file that follows NXxas_pfy."""
    for path in _products(out, "spectra", selection):
        for region, spectrum in nexus.read_entries(path).items():
            if selection.has_region(region) and is_pfy(spectrum.attrs):
                target = folder / f"{path.stem}-{safe_name(region)}.nxs"
                nexus.write_pfy(target, region, spectrum)
                yield target
