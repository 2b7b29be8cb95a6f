"""Changes of what users read off products, in standard errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.files.opening import named_errors, reader
from rixs_pipeline.io import nexus
from rixs_pipeline.io.compare_products import TOLERANCE
from rixs_pipeline.runner.results.summary_file import parse_facts

if TYPE_CHECKING:
    import xarray as xr

SAME_ENERGY = 1e-6  # eV; points that are closer are the same one
MAP_VARIABLES = ("counts", "energy_scale_errors", "emission_energy", "incident_energy")
SPECTRUM_VARIABLES = ("intensity", "intensity_errors")
INTERVAL_95 = 2 * 1.959964  # width of a 95 % interval in standard errors
AXES = ("incident_energy", "emission_energy")
RESOLUTION = "resolution"


@dataclass(frozen=True)
class Change:
    """A quantity of one product before and after.

    Attributes
    ----------
    subject
        Sample and edge, reference run, or comparison and sample.
    quantity
        `photons`, `pixels`, `p`, `resolution`, `scale error`, `line` or `spectrum`; of
        comparisons `p`, and `ratio` and `ratio p` of the feature.
    name
        Of the line or region; empty for others.
    unit
        Of the values.
    before, after
        The values; of a spectrum at the point that changed most. None: not known.
    error
        The larger one of their standard errors; None: not known.
    energy
        eV, of that point of a spectrum.
    rms
        Root mean square of the changes of a spectrum in standard errors.
    """

    subject: str
    quantity: str
    name: str
    unit: str
    before: float | None
    after: float | None
    error: float | None = None
    energy: float | None = None
    rms: float | None = None

    @property
    def change(self) -> float | None:
        """After - before."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def size(self) -> float | None:
        """The change in standard errors of one of the values."""
        if self.change is None or not self.error:
            return None
        return self.change / self.error

    @property
    def is_change(self) -> bool:
        """Whether the values differ by more than rounding."""
        if self.change is None:
            return self.before != self.after
        scale = max(abs(self.before or 0.0), abs(self.after or 0.0))
        return abs(self.change) > TOLERANCE * scale

    def as_json(self) -> dict[str, Any]:
        """Return all numbers; None where one is not known."""
        numbers = {
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "error": self.error,
            "standard_errors": self.size,
            "energy": self.energy,
            "rms": self.rms,
        }
        names = {
            "subject": self.subject,
            "quantity": self.quantity,
            "name": self.name,
            "unit": self.unit,
        }
        return names | numbers


def calibration_changes(
    before: Path, after: Path, common: Collection[str]
) -> Iterator[Change]:
    """Yield what changed in each reference run: its lines on the energy scale.

    Parameters
    ----------
    before, after
        Folders of results.
    common
        The products of both, such as `maps/LMR_RT-Co_L.nxs`.

    Yields
    ------
    Change
        Where a line stands in the spectrum of all pixels, eV, and the resolution.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    for name in _in_folder(common, "calibration"):
        old, new = (
            _reference_run(out / "calibration" / name) for out in (before, after)
        )
        run = Path(name).stem
        for line in (line for line in old if line in new):
            is_line = line != RESOLUTION
            quantity, line_name = ("line", line) if is_line else (RESOLUTION, "")
            yield _change(run, quantity, line_name, "eV", old[line], new[line])


def sample_changes(
    before: Path, after: Path, common: Collection[str]
) -> Iterator[Change]:
    """Yield what changed in the map and spectra of each sample and edge.

    Parameters
    ----------
    before, after
        Folders of results.
    common
        The products of both, such as `maps/LMR_RT-Co_L.nxs`.

    Yields
    ------
    Change
        Equal quantities, too.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    for name in _in_folder(common, "maps"):
        with named_errors(after / "maps" / name):
            yield from _map_changes(before, after, name)
    for folder in ("spectra", "xas"):
        for name in _in_folder(common, folder):
            products = (before / folder / name, after / folder / name)
            with named_errors(products[1]):
                yield from _spectrum_changes(*products)


def comparison_changes(
    before: Path, after: Path, common: Collection[str]
) -> Iterator[Change]:
    """Yield what changed in the comparisons of samples.

    Parameters
    ----------
    before, after
        Folders of results.
    common
        The products of both, such as `maps/LMR_RT-Co_L.nxs`.

    Yields
    ------
    Change
        For each sample and region; equal quantities, too.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    for name in _in_folder(common, "comparisons"):
        products = (before / "comparisons" / name, after / "comparisons" / name)
        with named_errors(products[1]):
            yield from _compared_changes(*products)


def _compared_changes(before: Path, after: Path) -> Iterator[Change]:
    """Yield the changes of each region that both products of a comparison have."""
    old_names, new_names = (nexus.entry_names(path) for path in (before, after))
    for region in (name for name in old_names if name in new_names):
        old, new = (
            _compared_samples(nexus.read_entry(path, region))
            for path in (before, after)
        )
        for sample in (name for name in old if name in new):
            for quantity in (name for name in old[sample] if name in new[sample]):
                values = old[sample][quantity], new[sample][quantity]
                yield _change(f"{before.stem} {sample}", quantity, region, "", *values)


def _compared_samples(dataset: xr.Dataset) -> dict[str, dict[str, _Measured]]:
    """Return the results of a comparison of a region, by sample."""
    by_sample = {}
    for row, sample in enumerate(map(str, dataset["compared"].values)):
        results = {"p": _measured(dataset["p"].values[row])}
        if "ratio" in dataset:
            lower, upper, ratio, p = (
                dataset[name].values[row]
                for name in ("ratio_lower", "ratio_upper", "ratio", "ratio_p")
            )
            results["ratio"] = _measured(ratio, (upper - lower) / INTERVAL_95)
            results["ratio p"] = _measured(p)
        by_sample[sample] = results
    return by_sample


def _in_folder(products: Collection[str], folder: str) -> list[str]:
    """Return the names of the NeXus files among products that are in a folder."""
    files = [PurePosixPath(product) for product in products]
    return sorted(
        file.name
        for file in files
        if file.parent.name == folder and file.suffix == ".nxs"
    )


@dataclass(frozen=True)
class _Measured:
    """A value with its standard error, if known."""

    value: float | None
    error: float | None = None


def _change(
    subject: str, quantity: str, name: str, unit: str, old: _Measured, new: _Measured
) -> Change:
    errors = [each.error for each in (old, new) if each.error is not None]
    error = max(errors, default=None)
    return Change(subject, quantity, name, unit, old.value, new.value, error)


def _measured(value: Any, error: Any = None) -> _Measured:
    """Return a value with its error; what is not finite counts as not known."""
    return _Measured(_finite(value), _finite(error))


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float | np.number)
    return float(value) if is_number and math.isfinite(value) else None


def _facts(product: Path) -> dict[str, Any]:
    """Return what run.json said of a product when it was made."""
    attributes = nexus.read_attributes(product, names=(nexus.FACTS,))
    return parse_facts(str(attributes.get(nexus.FACTS, "{}")))


@reader()
def _reference_run(product: Path) -> dict[str, _Measured]:
    """Return the positions of the lines of a reference run, and its resolution, eV."""
    names = nexus.read_values(product, "line_name")
    energies = nexus.read_values(product, "line_energy")
    line_energies = dict(zip(map(str, names), energies, strict=True))
    facts = _facts(product)
    measured = {
        line: _measured(line_energies[line] + residual, error)
        for line, (residual, error) in facts.get("line_residuals", {}).items()
        if line in line_energies and residual is not None
    }
    if resolution := facts.get(RESOLUTION):
        measured[RESOLUTION] = _measured(*resolution)
    return measured


def _map_changes(before: Path, after: Path, name: str) -> Iterator[Change]:
    maps = [
        nexus.read_entry(out / "maps" / name, only=MAP_VARIABLES)
        for out in (before, after)
    ]
    facts = [_facts(out / "maps" / name) for out in (before, after)]
    scans = [list(each.get("scans", [])) for each in facts]
    of_scans = [
        {scan: _scan_facts(out, scan) for scan in names}
        for out, names in zip((before, after), scans, strict=True)
    ]
    subject = Path(name).stem
    photons = [float(rixs_map["counts"].values.sum()) for rixs_map in maps]
    quantities = {
        ("photons", "counts"): [_measured(n, math.sqrt(n)) for n in photons],
        ("pixels", ""): [_measured(_pixels(each)) for each in of_scans],
        ("p", ""): [_measured(each.get("passes", {}).get("p")) for each in facts],
        (RESOLUTION, "eV"): [_resolution(rixs_map) for rixs_map in maps],
        ("scale error", "eV"): [_scale_error(rixs_map) for rixs_map in maps],
    }
    for (quantity, unit), (old, new) in quantities.items():
        yield _change(subject, quantity, "", unit, old, new)
    common = [scan for scan in scans[0] if scan in scans[1]]
    lines = [_line_positions(each, common) for each in of_scans]
    for line in sorted(lines[0].keys() & lines[1].keys()):
        yield _change(subject, "line", line, "eV", lines[0][line], lines[1][line])


def _scan_facts(out: Path, scan: str) -> dict[str, Any]:
    product = out / "scans" / f"{Path(scan).name}.nxs"
    return _facts(product) if product.is_file() else {}


def _pixels(of_scans: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return the smallest number of pixels that a scan uses."""
    used = [
        facts["pixels_used"] for facts in of_scans.values() if "pixels_used" in facts
    ]
    return min(used, default=None)


def _resolution(rixs_map: xr.Dataset) -> _Measured:
    attributes = rixs_map.attrs
    return _measured(
        attributes.get("resolution_fwhm"), attributes.get("resolution_fwhm_errors")
    )


def _scale_error(rixs_map: xr.Dataset) -> _Measured:
    """Return the mean error of the energy scale, weighted with the photons."""
    if "energy_scale_errors" not in rixs_map:
        return _measured(None)
    photons = rixs_map["counts"].values.sum(axis=0)
    errors = rixs_map["energy_scale_errors"].values
    is_known = np.isfinite(errors) & (photons > 0)
    if not is_known.any():
        return _measured(None)
    return _measured(np.average(errors[is_known], weights=photons[is_known]))


def _line_positions(
    of_scans: Mapping[str, Mapping[str, Any]], scans: list[str]
) -> dict[str, _Measured]:
    """Return the mean position of each line over scans that both reductions have."""
    values: dict[str, list[tuple[float, float]]] = {}
    for scan in scans:
        for line, (position, error) in of_scans[scan].get("line_positions", {}).items():
            if position is not None and error:
                values.setdefault(line, []).append((position, error))
    means = {}
    for line, pairs in values.items():
        positions, errors = np.array(pairs).T
        weights = errors**-2.0
        mean = np.average(positions, weights=weights)
        means[line] = _measured(mean, weights.sum() ** -0.5)
    return means


def _spectrum_changes(before: Path, after: Path) -> Iterator[Change]:
    """Yield a change for each region that both files of spectra have."""
    old_names, new_names = (nexus.entry_names(path) for path in (before, after))
    prefix = "xas " if before.parent.name == "xas" else ""
    for region in (name for name in old_names if name in new_names):
        old, new = (
            nexus.read_entry(path, region, only=(*SPECTRUM_VARIABLES, *AXES))
            for path in (before, after)
        )
        yield _compare_spectra(before.stem, prefix + region, old, new)


def _compare_spectra(
    subject: str, region: str, old: xr.Dataset, new: xr.Dataset
) -> Change:
    """Return the largest change of a spectrum at the energies of both reductions."""
    axis = next((name for name in AXES if name in old.dims and name in new.dims), None)
    unknown = Change(subject, "spectrum", region, "", None, None)
    if axis is None:
        return unknown
    rows = _same_energies(old[axis].values, new[axis].values)
    pairs = np.flatnonzero(rows >= 0), rows[rows >= 0]
    is_known = np.logical_and(
        *(
            np.isfinite(dataset["intensity"].values[index])
            for dataset, index in zip((old, new), pairs, strict=True)
        )
    )
    if not is_known.any():
        return unknown
    first, second = (
        old.isel({axis: pairs[0][is_known]}),
        new.isel({axis: pairs[1][is_known]}),
    )
    change = second["intensity"].values - first["intensity"].values
    error = np.fmax(first["intensity_errors"].values, second["intensity_errors"].values)
    has_error = np.isfinite(error) & (error > 0)
    sizes = np.divide(change, error, out=np.zeros_like(change), where=has_error)
    # readings of the log have no errors: their largest change alone is known
    worst = int(np.argmax(np.abs(sizes if sizes.any() else change)))
    return Change(
        subject,
        "spectrum",
        region,
        str(old["intensity"].attrs.get("units", "")),
        before=float(first["intensity"].values[worst]),
        after=float(second["intensity"].values[worst]),
        error=float(error[worst]) if has_error[worst] else None,
        energy=float(first[axis].values[worst]),
        rms=float(np.sqrt(np.mean(sizes[has_error] ** 2))) if has_error.any() else None,
    )


def _same_energies(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.int64]:
    """Return, for each old energy, the row of the same new one; -1: none. (old,)."""
    order = np.argsort(new, kind="stable")
    place = np.searchsorted(new[order], old - SAME_ENERGY)
    rows = order[np.minimum(place, len(new) - 1)]
    return np.where(np.abs(new[rows] - old) <= SAME_ENERGY, rows, -1)
