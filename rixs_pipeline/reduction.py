"""The stages of one reduction in order: for each product what it is made from, and its making where not fresh."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ReferenceSet
from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.execution import Executor
from rixs_pipeline.io import products, provenance
from rixs_pipeline.io.config_files import dump_config
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.ledger import Ledger
from rixs_pipeline.stages import bin as bin_stage
from rixs_pipeline.stages import calibrate, combine, extract, report, scan_map
from rixs_pipeline.stages.calibrations import PixelEnergy, best_resolved, is_ok, jumped_by, pixel_energies
from rixs_pipeline.stages.jumps import jump_times
from rixs_pipeline.summary import Summary

STAGES = ("calibrate", "bin", "combine", "extract", "report")
PIXELS_A_BLOCK = 8


@dataclass
class Reduction:
    """One pass over the stages: for each product its key, and what makes it where it is not fresh."""

    beamtime: Beamtime
    scans: list[Run]
    config: Config
    out: Path
    until: str
    partial: bool  # only some scans were asked for
    reference: ReferenceSet
    executor: Executor
    summary: Summary
    ledger: Ledger

    def __post_init__(self) -> None:
        self.usable: set[Path] = set()  # products of reference runs that scans may rest on
        self.moved: dict[tuple[Path, ...], bool] = {}
        self.jumps: dict[tuple[Path, ...], dict[int, float]] = {}

    def run(self) -> None:
        """All stages up to the one asked for."""
        if self.partial and STAGES.index(self.until) > STAGES.index("bin"):
            self.summary.warn(
                "maps, spectra and figures hold only the scans of --scans; run without it to add them all"
            )
        if not self.summary.dry_run:
            self._write_config()
        for name in STAGES[: STAGES.index(self.until) + 1]:
            started = time.perf_counter()
            getattr(self, f"_{name}")()
            self.summary.timings[name] = round(time.perf_counter() - started, 3)
        if not self.partial:
            self.ledger.tell_leftovers()
        self.summary.whole = self.until == STAGES[-1] and not self.partial

    def _write_config(self) -> None:
        text = dump_config(self.config)
        path = self.out / paths.RESOLVED_CONFIG
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            with products.atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _calibrate(self) -> None:
        stale = []
        for one in self.beamtime.calibrations:
            path = paths.calibration_product(self.out, one.name)
            with self.ledger.attempt(one.name, path):
                science = self.config.science("calibration") | {"reference": self.reference.model_dump(mode="json")}
                key = self.ledger.key(
                    science, {"pulses": self.ledger.pulse_digest(one), "run": provenance.run_digest(one)}
                )
                if self.ledger.wanted(one.name, path, key):
                    stale.append(one)
        task = CalibrateTask(self.reference, self.config)
        for one, (dataset, error) in zip(stale, self.executor.map(task, stale), strict=True):
            path = paths.calibration_product(self.out, one.name)
            with self.ledger.attempt(one.name, path):
                if dataset is None:
                    raise error or RunFailed(f"{one.name}: no calibration came back")
                self.ledger.write(path, {"entry": dataset}, "spectrum")
                self.summary.calibrated(one.name, dataset)
        self._find_usable()

    def _calibrations_around(self, one: Run) -> list[Path]:
        """Products of the usable reference runs just before and just after a scan.

        Those of the scan's own run directory, where it has any: another one may have other filters or gains.
        """
        done = [(c, path) for c in self.beamtime.calibrations if (path := self._product_of(c)) in self.usable]
        own = [(c, path) for c, path in done if c.directory == one.directory] or done
        now = run_time(one)
        before = [path for c, path in own if run_time(c) <= now]
        return before[-1:] + [path for c, path in own if run_time(c) > now][:1]

    def _product_of(self, calibration: Run) -> Path:
        return paths.calibration_product(self.out, calibration.name)

    def _find_usable(self) -> None:
        """Reference runs with at least half as many good pixels as the best one: a short one hides no good one."""
        good = {}
        for one in self.beamtime.calibrations:
            path = self._product_of(one)
            if path in self.ledger.keys and path.is_file():
                good[one.name] = sum(map(is_ok, products.read_values(path, "status")))
            elif path in self.ledger.keys:  # a dry run: not made yet
                self.usable.add(path)
        for one in self.beamtime.calibrations:
            if one.name in good and good[one.name] >= 0.5 * max(good.values()):
                self.usable.add(self._product_of(one))
            elif one.name in good:
                text = f"{one.name}: only {good[one.name]} pixels calibrated, others have {max(good.values())}"
                self.summary.warn(f"{text}: not used for scans")

    def _best(self, one: Run) -> int | None:
        """How many pixels the config asks for at the edge of a scan."""
        return next((n for edge, n in self.config.map.best_pixels.items() if edge == one.edge), None)

    def _between(self, one: Run) -> list[Run]:
        """All scans between the two reference runs around a scan, where a pixel jumped between these; else none."""
        around = tuple(self._calibrations_around(one))
        if around not in self.moved:
            self.moved[around] = _has_jumped(around)
        between = [s for s in self.beamtime.scans if tuple(self._calibrations_around(s)) == around]
        return between if self.moved[around] else []

    def _jumps(self, one: Run, calibrations: list[xr.Dataset]) -> dict[int, float]:
        """When pixels jumped between the two reference runs around a scan, told once from all scans between them."""
        around, between = tuple(self._calibrations_around(one)), self._between(one)
        if not between:
            return {}
        if around not in self.jumps:
            self.jumps[around] = jump_times(between, calibrations[0], calibrations[1])
        return self.jumps[around]

    def _counted_from(self, one: Run) -> tuple[dict[str, Any], dict[str, str]]:
        """The config and the inputs that the counts of a scan, and with them its throughput, follow from."""
        config = self.config
        science = {
            "map": [config.map.emission, config.map.step],
            "residual_cut": config.calibration.residual_cut,
            "pixels": sorted(config.beamtime.exclude.pixels),
            "best_pixels": self._best(one),
        }
        around = [self.ledger.keys[path] for path in self._calibrations_around(one)]
        inputs = {
            "pulses": self.ledger.pulse_digest(one),
            "run": provenance.run_digest(one),
            "calibrations": provenance.config_hash({"keys": around}),
            "between": provenance.config_hash({s.name: self.ledger.pulse_digest(s) for s in self._between(one)}),
        }
        return science, inputs

    def _scan_key(self, one: Run, lead: Run, flux: float | None) -> dict[str, str]:
        science, inputs = self._counted_from(one)
        science |= {
            "i0_ref": flux,
            "normalise": self.config.normalise.model_dump(mode="json"),
            "points": points_excluded(one, self.config),
            "reference": provenance.config_hash(self.reference.model_dump(mode="json")),
        }
        weights = {"counts": self._counted_from(lead)} if lead is not one else {}
        return self.ledger.key(science, inputs | {"throughput": provenance.config_hash(weights)})

    def _bin(self) -> None:
        """Scans in order of time, but the one that sets the scale of its sample and edge before the others."""
        first_flux = next((s for s in self.beamtime.scans if scan_map.i0_reference(s, self.config.normalise)), None)
        flux = scan_map.i0_reference(first_flux, self.config.normalise) if first_flux else None
        leaders = {group: leader(self.beamtime.scans, group) for group in {group_of(s) for s in self.scans}}
        known: dict[str, dict[int, float]] = {}
        for one in sorted(self.scans, key=lambda s: s is not leaders[group_of(s)]):
            lead = leaders[group_of(one)]
            path = paths.scan_product(self.out, one.name)
            with self.ledger.attempt(one.name, path):
                if self.ledger.wanted(one.name, path, self._scan_key(one, lead, flux)):
                    self._bin_scan(one, lead, flux or 1.0, known, path)

    def _bin_scan(self, one: Run, lead: Run, flux: float, known: dict[str, dict[int, float]], path: Path) -> None:
        edges = bin_stage.map_edges(self.config.map)
        binned, functions = self._count(one, edges)
        if not any(f.used for f in functions):
            reasons = sorted({f.status for f in functions})
            raise RunFailed(f"{one.name}: no pixel can be used ({'; '.join(reasons[:3])})")
        if not binned.triggers[[f.used for f in functions]].any():
            raise RunFailed(f"{one.name}: no pulses in its points; check its times and pulse files")
        if lead.name not in known:
            known[lead.name] = (
                scan_map.relative_throughput(binned, one, functions, self.config.normalise, self._brightness(one))
                if lead is one
                else self._throughput_of(lead, edges)
            )
        scale = scan_map.Scale(flux, known[lead.name])
        points = points_excluded(one, self.config)
        dataset, warnings = scan_map.scan_dataset(one, binned, functions, edges, self.config.normalise, scale, points)
        dataset = scan_map.with_elastic_offset(dataset, self.reference)
        self.ledger.write(path, {"entry": dataset}, "counts")
        self.summary.binned(one.name, dataset, warnings)

    def _throughput_of(self, lead: Run, edges: np.ndarray) -> dict[int, float]:
        """Throughput from the group's leading scan: from its product where that is fresh, else counted here."""
        path = paths.scan_product(self.out, lead.name)
        if path in self.ledger.keys and path.is_file():
            dataset = products.read_entry(path)
            used = [str(s).startswith("ok") for s in dataset["pixel_status"].values]
            rows = zip(dataset["pixel"].values, dataset["throughput"].values, used, strict=True)
            return {int(p): float(w) for p, w, u in rows if u}
        binned, functions = self._count(lead, edges)
        return scan_map.relative_throughput(binned, lead, functions, self.config.normalise, self._brightness(lead))

    def _brightness(self, one: Run) -> dict[int, float]:
        """Accepted pulses of every good pixel in the reference run that a scan rests on; none without one."""
        for path in self._calibrations_around(one)[:1]:
            rows = zip(*(products.read_values(path, name) for name in ("pixel", "status", "cut_counts")), strict=True)
            return {int(pixel): float(left[-1]) for pixel, status, left in rows if is_ok(status)}
        return {}

    def _count(self, one: Run, edges: np.ndarray) -> tuple[bin_stage.Binned, tuple[PixelEnergy, ...]]:
        """Counts of one scan, and the energy function of each of its pixels, in the order of `binned.pixel`."""
        if one.photon_list is not None:
            return bin_stage.bin_photon_list(one, edges, self.config.beamtime.exclude.pixels)
        if not one.pulse_files:
            raise RunFailed(f"{one.name}: has no pulse files")
        calibrations = [products.read_entry(path) for path in self._calibrations_around(one)]
        excluded = self.config.beamtime.exclude.pixels
        span = int(one.points.start_ns[0]) / 1e9, int(one.points.end_ns[-1]) / 1e9
        functions = pixel_energies(one.pulse_files, span, calibrations, excluded, self._jumps(one, calibrations))
        functions = best_resolved(one.pulse_files, functions, calibrations, self._best(one))
        cut = self.config.calibration.residual_cut
        size = max(1, min(PIXELS_A_BLOCK, len(one.pulse_files) // (2 * self.executor.workers)))
        tasks = [
            bin_stage.BinTask(one.pulse_files[k : k + size], functions[k : k + size], one.points, edges, cut)
            for k in range(0, len(one.pulse_files), size)
        ]
        binned = self.executor.map_reduce(bin_stage.bin_block, tasks, bin_stage.add_blocks)
        return binned, bin_stage.without_silent(binned, bin_stage.without_changed(binned, functions))

    def _groups(self) -> dict[tuple[str, str], list[Run]]:
        """Scans of every sample and edge whose product is there."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for one in self.scans:
            if one.edge is not None and paths.scan_product(self.out, one.name) in self.ledger.keys:
                groups.setdefault((one.sample, one.edge), []).append(one)
        owners: dict[Path, str] = {}
        for sample, edge in list(groups):
            owner = owners.setdefault(paths.map_product(self.out, sample, edge), sample)
            if owner != sample:
                del groups[sample, edge]
                clash = f"samples '{owner}' and '{sample}' would share their files; rename one in beamtime.samples"
                self.summary.fail(f"{sample}-{edge}", clash)
        return groups

    def _combine(self) -> None:
        for one in self.scans:
            if one.edge is None:
                self.summary.warn(
                    f"{one.name}: its edge is not known: not part of a map; set beamtime.scans.{one.number}.edge"
                )
        for (sample, edge), scans in self._groups().items():
            path = paths.map_product(self.out, sample, edge)
            name = path.stem
            with self.ledger.attempt(name, path):
                scan_paths = [paths.scan_product(self.out, s.name) for s in scans]
                bins = self.config.map
                science = {"incident": [bins.incident, bins.incident_step], "elastic_offset": bins.elastic_offset}
                key = self.ledger.key(
                    science, {"scans": provenance.config_hash({"keys": [self.ledger.keys[p] for p in scan_paths]})}
                )
                if self.ledger.wanted(name, path, key):
                    scans_data = [products.read_entry(p) for p in scan_paths]
                    dataset, warnings = combine.combine_scans(scans_data, self.config.map, name)
                    self.ledger.write(path, {"entry": dataset}, "intensity")
                    self.summary.made(name, {"scans": [s.name for s in scans]}, warnings)

    def _extract(self) -> None:
        for sample, edge in self._groups():
            source, path = paths.map_product(self.out, sample, edge), paths.spectra_product(self.out, sample, edge)
            name = f"{path.stem} spectra"
            if source not in self.ledger.keys:
                continue
            with self.ledger.attempt(name, path):
                regions = extract.regions_of(edge, self.config.regions)
                science = {"regions": {n: r.model_dump(mode="json") for n, r in regions.items()}}
                key = self.ledger.key(science, {"map": provenance.config_hash(self.ledger.keys[source])})
                if self.ledger.wanted(name, path, key):
                    rixs_map = products.read_entry(source)
                    spectra, warnings = extract.extract_spectra(rixs_map, self.config.regions, path.stem)
                    if not spectra:
                        raise RunFailed(f"{path.stem}: no region touches this map; see `regions` in the config")
                    self.ledger.write(path, spectra, "intensity")
                    self.summary.made(name, {"regions": list(spectra)}, warnings)

    def _report(self) -> None:
        groups = [g for g in self._groups() if paths.spectra_product(self.out, *g) in self.ledger.keys]
        calibrations = [c.name for c in self.beamtime.calibrations]
        done = [n for n in calibrations if paths.calibration_product(self.out, n) in self.ledger.keys]
        for figures in report.plan(self.out, self.config, done, groups):
            key = provenance.config_hash(
                {"sources": [self.ledger.keys[p] for p in figures.sources], "options": figures.options}
                | {"code": provenance.code_version()}
            )
            name, folder = f"{figures.name} figures", self.out / "figures"
            if self.summary.figures_fresh(figures.name, key) and not self.ledger.force:
                self.summary.fresh(name)
                continue
            if not self.summary.stale(name, folder, "not made yet from these sources"):
                continue
            with self.ledger.attempt(name, folder):
                written = [str(p.relative_to(self.out)) for p in figures.draw()]
                self.summary.drew(figures.name, key, written)


@dataclass(frozen=True)
class CalibrateTask:
    """Calibrates one run, in any process; what goes wrong comes back as a value, so that other runs go on."""

    reference: ReferenceSet
    config: Config

    def __call__(self, one: Run) -> tuple[xr.Dataset | None, Exception | None]:
        """The calibration, or why there is none."""
        try:
            return calibrate.calibrate_run(one, self.reference, self.config.calibration), None
        except Exception as error:
            return None, error


def _has_jumped(calibrations: tuple[Path, ...]) -> bool:
    """Whether a pixel jumped between two reference runs; unknown, so no, before both are made (in a dry run)."""
    if len(calibrations) < 2:
        return False
    try:
        return bool(jumped_by(products.read_entry(calibrations[0]), products.read_entry(calibrations[1])))
    except InputError:
        return False


def run_time(one: Run) -> float:
    """The middle of a run, seconds since 1970."""
    return (int(one.points.start_ns[0]) + int(one.points.end_ns[-1])) / 2e9


def group_of(one: Run) -> tuple[str, str]:
    """Sample and edge."""
    return one.sample, one.edge or ""


def leader(scans: Sequence[Run], group: tuple[str, str]) -> Run:
    """The scan whose photons set the pixels' throughput for a sample and edge: its first complete one with pulses.

    One scan, not all: so that a scan that is added later moves nothing that is done.
    """
    members = [s for s in scans if group_of(s) == group]
    members = [s for s in members if s.pulse_files or s.photon_list] or members
    return next((s for s in members if s.complete), members[0])


def points_excluded(one: Run, config: Config) -> tuple[int, ...]:
    """Numbers of the points that the config leaves out of a scan."""
    points = config.beamtime.exclude.points
    return points.get(one.name, points.get(one.number, ()))
