"""The stages of one reduction in order: for each product what it is made from, and its making where not fresh."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline import blocks, heap, paths, progress
from rixs_pipeline.config import Comparison, Config, ReferenceSet
from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.execution import Executor
from rixs_pipeline.io import products, provenance
from rixs_pipeline.io.config_files import dump_config
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.ledger import Ledger
from rixs_pipeline.stages import (
    align,
    calibrate,
    combine,
    compare,
    extract,
    passes,
    photons,
    references,
    report,
    response,
    scan_map,
    xas,
)
from rixs_pipeline.stages import bin as bin_stage
from rixs_pipeline.stages.calibrations import PixelEnergy, best_resolved, is_ok, jumped_by, pixel_energies
from rixs_pipeline.stages.drawing import Drawing
from rixs_pipeline.stages.jumps import jump_times
from rixs_pipeline.summary import Summary

if TYPE_CHECKING:
    import xarray as xr

STAGES = ("calibrate", "bin", "combine", "extract", "compare", "report")

Functions = tuple[PixelEnergy, ...]  # in the order of a scan's files
Counted = tuple[bin_stage.Binned, Functions]
Drawn = Iterator[tuple[str, str, Drawing | Exception]]  # name and key of figures that are drawn in other processes
Throughput = dict[int, float] | Exception | None  # by pixel; what was wrong; or not known yet


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
    drawing: Executor  # of figures, whose drawing holds the interpreter: threads would wait for each other
    summary: Summary
    ledger: Ledger

    def __post_init__(self) -> None:
        self.listed: set[str] = set()  # scans with a fresh list of their photons
        self.usable: set[Path] = set()  # products of reference runs that scans may rest on
        self.moved: dict[tuple[Path, ...], bool] = {}
        self.jumps: dict[tuple[Path, ...], dict[int, float]] = {}
        self.shifts: dict[tuple[Path, ...], dict[int, float]] = {}
        self.tails: dict[tuple[Path, ...], Mapping[int, align.Float]] = {}
        self.calibrations: dict[Path, xr.Dataset] = {}  # the products that were read
        self.begun: list[Drawn] = []  # figures

    def run(self) -> None:
        """All stages up to the one asked for."""
        if self.partial and STAGES.index(self.until) > STAGES.index("bin"):
            self.summary.warn(
                "maps, spectra and figures hold only the scans of --scans; run without it to add them all"
            )
        if not self.summary.dry_run:
            self._write_config()
            self.ledger.read_pulses([*self.beamtime.calibrations, *(self.scans if self.until != STAGES[0] else [])])
        for name in STAGES[: STAGES.index(self.until) + 1]:
            started = time.perf_counter()
            getattr(self, f"_{name}")()
            heap.give_back()
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
            path = self._product_of(one)
            with self.ledger.attempt(one.name, path):
                key = {} if self._is_plainly_stale(path) else self._calibration_key(one)
                if self.ledger.wanted(one.name, path, key):
                    stale.append(one)
        task = CalibrateTask(self.reference, self.config)
        with progress.shown("calibrating", len(stale), "reference runs") as tell:
            for one, (dataset, error) in zip(stale, self.executor.map(task, stale, tell), strict=True):
                path = self._product_of(one)
                with self.ledger.attempt(one.name, path):
                    if dataset is None:
                        raise error or RunFailed(f"{one.name}: no calibration came back")
                    self.ledger.write(path, {"entry": dataset}, "spectrum")
                    self.summary.calibrated(one.name, dataset)
        self._find_usable()
        self._compare_references()

    def _calibration_key(self, one: Run) -> dict[str, str]:
        science = self.config.science("calibration")
        del science["calibration"]["align"]  # of scans
        science |= {"reference": self.reference.model_dump(mode="json")}
        inputs = {"pulses": self.ledger.pulse_digest(one), "run": provenance.run_digest(one)}
        return self.ledger.key(science, inputs)

    def _compare_references(self) -> None:
        """The table of what each line says about the reference set, from all reference runs that are done."""
        sources = [path for c in self.beamtime.calibrations if (path := self._product_of(c)) in self.ledger.keys]
        path = paths.references_table(self.out)
        if not sources:
            return
        with self.ledger.attempt("references", path):
            key = self.ledger.key({}, {p.stem: provenance.config_hash(self.ledger.keys[p]) for p in sources})
            if self.ledger.wanted("references", path, key):
                done = [products.read_entry(p) for p in sources]
                table = references.reference_table(done, self.config.calibration.curve)
                self.ledger.write_table(path, table, self.reference.attributes())
                verdicts = dict(zip(table["line"], table["verdict"], strict=True))
                self.summary.made("references", self.reference.attributes() | {"lines": verdicts}, [])

    def _calibrations_around(self, one: Run) -> list[Path]:
        """Products of the usable reference runs just before and just after a scan.

        Those of the scan's own run directory, where it has any: another one may have other filters or gains.
        """
        done = [(c, path) for c in self.beamtime.calibrations if (path := self._product_of(c)) in self.usable]
        own = [(c, path) for c, path in done if c.directory == one.directory] or done
        now = run_time(one)
        before = [path for c, path in own if run_time(c) <= now]
        return before[-1:] + [path for c, path in own if run_time(c) > now][:1]

    def _read_around(self, one: Run) -> list[xr.Dataset]:
        """The calibrations around a scan: each is read once, and forgotten where no later scan needs it."""
        around = self._calibrations_around(one)
        known = self.calibrations
        self.calibrations = {path: known[path] if path in known else products.read_entry(path) for path in around}
        return list(self.calibrations.values())

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
            key = provenance.config_hash({"keys": [self.ledger.keys[path] for path in around]})
            known = self.summary.previous.get("moved", {})
            self.moved[around] = self.summary.moved[key] = known[key] if key in known else self._has_jumped(one)
        between = [s for s in self.beamtime.scans if tuple(self._calibrations_around(s)) == around]
        return between if self.moved[around] else []

    def _has_jumped(self, one: Run) -> bool:
        """Whether a pixel jumped between the reference runs around a scan; unknown, so no, before both are made."""
        try:
            calibrations = self._read_around(one)
        except InputError:  # in a dry run
            return False
        return bool(self._moved_by(one, calibrations))

    def _moved_by(self, one: Run, calibrations: list[xr.Dataset]) -> dict[int, float]:
        """Which pixels jumped between the reference runs around a scan, and by how many eV."""
        around = tuple(self._calibrations_around(one))
        if around not in self.shifts:
            self.shifts[around] = jumped_by(*calibrations) if len(calibrations) == 2 else {}
        return self.shifts[around]

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
            "align": config.calibration.align,
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
            "normalise": self.config.normalise.model_dump(mode="json", exclude={"i0_noise", "efficiency"}),
            "points": points_excluded(one, self.config),
            "reference": provenance.config_hash(self.reference.model_dump(mode="json")),
        }
        weights = {"counts": self._counted_from(lead)} if lead is not one else {}
        return self.ledger.key(science, inputs | {"throughput": provenance.config_hash(weights)})

    def _bin(self) -> None:
        """Scans in order of time, but the one that sets the scale of its sample and edge before the others."""
        first_flux = next((s for s in self.beamtime.scans if scan_map.i0_reference(s, self.config.normalise)), None)
        flux = scan_map.i0_reference(first_flux, self.config.normalise) if first_flux else None
        leads = {one.name: leader(self.beamtime.scans, group_of(one)) for one in self.scans}
        stale: dict[str, Run] = {}
        for one in sorted(self.scans, key=lambda s: leads[s.name].name != s.name):
            path = paths.scan_product(self.out, one.name)
            with self.ledger.attempt(one.name, path):
                key = {} if self._is_plainly_stale(path) else self._scan_key(one, leads[one.name], flux)
                if self.ledger.wanted(one.name, path, key):
                    stale[one.name] = one
        with self._photon_lists() as unlisted:
            self._bin_scans(stale, unlisted, leads, flux)

    @contextmanager
    def _photon_lists(self) -> Iterator[dict[str, Path]]:
        """Scans whose photons are to be kept and have no fresh list, and a folder for the parts of each."""
        unlisted: list[Run] = []
        for one in self.scans if self.config.map.keep_photons else []:
            path = paths.photon_list(self.out, one.name)
            if one.photon_list is None:
                with self.ledger.attempt(f"{one.name} photons", path):
                    key = {} if self._is_plainly_stale(path) else self._photons_key(one)
                    if self.ledger.wanted(f"{one.name} photons", path, key):
                        unlisted.append(one)
                    elif not self.summary.dry_run:
                        self.listed.add(one.name)
        if not unlisted:
            yield {}
            return
        parent = paths.photon_list(self.out, "").parent
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=parent) as folder:
            yield {one.name: Path(folder) / one.name for one in unlisted}

    def _photons_key(self, one: Run) -> dict[str, str]:
        """What a list is made from: what the counts are, but for the bins."""
        science, inputs = self._counted_from(one)
        del science["map"]
        return self.ledger.key(science, inputs)

    def _is_plainly_stale(self, path: Path) -> bool:
        """A dry run reads no pulses to find that what was never made has to be made."""
        return self.summary.dry_run and not path.is_file()

    def _bin_scans(
        self, stale: dict[str, Run], unlisted: dict[str, Path], leads: dict[str, Run], flux: float | None
    ) -> None:
        """Count the scans, and before them the leading ones that have no fresh product; write each as it is done.

        `unlisted`: scans of which a photon list is written too, and the folder for its parts.
        """
        needed = {leads[name].name: leads[name] for name in stale}
        known = {name: self._throughput_in_product(lead, flux) for name, lead in needed.items() if name not in stale}
        uncounted = [needed[name] for name, weights in known.items() if weights is None]
        listing = [one for one in self.scans if one.name in unlisted]
        todo = {one.name: one for one in (*uncounted, *stale.values(), *listing)}
        for one, counted in self._counts(list(todo.values()), unlisted):
            if one.name in unlisted:
                self._write_photons(one, counted, unlisted[one.name])
            if one.name in needed:
                known[one.name] = self._throughput_from(one, counted)
            path = paths.scan_product(self.out, one.name)
            if one.name in stale:
                with self.ledger.attempt(one.name, path):
                    self._write_scan(one, counted, known[leads[one.name].name], flux or 1.0, path)

    def _write_photons(self, one: Run, counted: Counted | Exception, parts: Path) -> None:
        path = paths.photon_list(self.out, one.name)
        with self.ledger.attempt(f"{one.name} photons", path):
            if isinstance(counted, Exception):
                raise counted
            about = self.ledger.keys[path] | {"command": self.ledger.command}
            number = photons.write(path, one, *counted, sorted(parts.iterdir()), about)
            self.ledger.wrote(path)
            self.summary.made(f"{one.name} photons", {"photons": number}, [])
            shutil.rmtree(parts)

    def _write_scan(
        self, one: Run, counted: Counted | Exception, throughput: Throughput, flux: float, path: Path
    ) -> None:
        if isinstance(counted, Exception):
            raise counted
        binned, functions = counted
        if not any(f.used for f in functions):
            reasons = sorted({f.status for f in functions})
            raise RunFailed(f"{one.name}: no pixel can be used ({'; '.join(reasons[:3])})")
        if not binned.triggers[[f.used for f in functions]].any():
            raise RunFailed(f"{one.name}: no pulses in its points; check its times and pulse files")
        if isinstance(throughput, Exception):
            raise throughput
        points = points_excluded(one, self.config)
        scale = scan_map.Scale(flux, throughput or {})
        edges = bin_stage.map_edges(self.config.map)
        dataset, warnings = scan_map.scan_dataset(one, binned, functions, edges, self.config.normalise, scale, points)
        dataset = scan_map.with_elastic_offset(dataset, self.reference)
        if one.photon_list is None:
            around = tuple(self._calibrations_around(one))
            if around not in self.tails:
                self.tails[around] = response.pixel_tails(self._read_around(one))
            tails = self.tails[around]
            dataset = dataset.assign_attrs(response.scan_response(dataset, tails))
        if one.photon_list is None:  # its energies are somebody else's
            dataset = dataset.assign_attrs(self.reference.attributes())
        self.ledger.write(path, {"entry": dataset}, "counts")
        self.summary.binned(one.name, dataset, warnings)

    def _throughput_from(self, lead: Run, counted: Counted | Exception) -> Throughput:
        """Throughput from the counts of a group's leading scan; or what is wrong with them."""
        if isinstance(counted, Exception):
            return counted
        try:
            binned, functions = counted
            brightness = self._brightness(lead)
            return scan_map.relative_throughput(binned, lead, functions, self.config.normalise, brightness)
        except Exception as error:
            return error

    def _throughput_in_product(self, lead: Run, flux: float | None) -> Throughput:
        """Throughput from the product of a group's leading scan; None where it is not there or not fresh."""
        path = paths.scan_product(self.out, lead.name)
        if path not in self.ledger.keys and self.ledger.why_stale(path, self._scan_key(lead, lead, flux)):
            return None
        try:
            dataset = products.read_entry(path)
        except InputError:  # damaged: counted again
            return None
        used = [str(s).startswith("ok") for s in dataset["pixel_status"].values]
        rows = zip(dataset["pixel"].values, dataset["throughput"].values, used, strict=True)
        return {int(p): float(w) for p, w, u in rows if u}

    def _brightness(self, one: Run) -> dict[int, float]:
        """Accepted pulses of every good pixel in the reference run that a scan rests on; none without one."""
        for path in self._calibrations_around(one)[:1]:
            rows = zip(*(products.read_values(path, name) for name in ("pixel", "status", "cut_counts")), strict=True)
            return {int(pixel): float(left[-1]) for pixel, status, left in rows if is_ok(status)}
        return {}

    def _counts(self, scans: Sequence[Run], unlisted: Mapping[str, Path]) -> Iterator[tuple[Run, Counted | Exception]]:
        """Counts of each scan, and the energy functions of its pixels in the order of `binned.pixel`; or what is wrong.

        The blocks of pixels of all scans are one stream of work, cut so that every worker gets some of it. Scans that
        have a fresh photon list are no part of it.
        """
        files = [() if one.name in self.listed else one.pulse_files for one in scans]
        bins, memory = len(bin_stage.map_edges(self.config.map)) - 1, self.config.execution.memory_bytes
        largest = max((blocks.map_bytes(one, bins) for one in scans), default=0)
        cut = blocks.plan(list(map(len, files)), largest, self.executor.workers, memory)
        size = cut.size
        functions = self._all_functions(scans, size)
        groups = (
            self._tasks(one, () if isinstance(own, Exception) else own, size, unlisted.get(one.name))
            for one, own in functions
        )
        total = sum(-(-len(of) // size) for of in files)
        with progress.shown("binning", total, "blocks of pixels") as tell:
            done = self.executor.map_reduce(bin_stage.bin_block, groups, bin_stage.add_blocks, tell, cut.at_once)
            for (one, own), binned in zip(functions, done, strict=True):
                yield one, self._counted(one, own, binned)

    def _all_functions(self, scans: Sequence[Run], size: int) -> list[tuple[Run, Functions | Exception]]:
        """The energy functions of each scan, its pixels aligned with each other if the config asks for it."""
        found: list[Functions | Exception] = []
        groups: list[list[align.AlignTask]] = []
        memory = self.config.execution.memory_bytes
        edges, asked = align.edges_of(align.EMISSION), self.config.calibration.align
        for one in scans:
            try:
                blocks.check_fits(one, len(bin_stage.map_edges(self.config.map)) - 1, memory)
                functions = self._functions(one)
                groups.append(align.tasks(one, functions, edges, size) if asked and functions else [])
                found.append(functions)
            except Exception as error:  # of this scan alone
                groups.append([])
                found.append(error)
        with progress.shown("aligning", sum(map(len, groups)), "blocks of pixels") as tell:
            done = self.executor.map_reduce(align.spectra_block, filter(None, groups), align.side_by_side, tell)
            for k, counts in zip([k for k, group in enumerate(groups) if group], done, strict=True):
                found[k] = counts if isinstance(counts, Exception) else self._aligned(scans[k], found[k], counts, edges)
        return list(zip(scans, found, strict=True))

    def _aligned(
        self, one: Run, functions: Functions | Exception, counts: align.Int, edges: align.Float
    ) -> Functions | Exception:
        if isinstance(functions, Exception):
            return functions
        return align.align(one, functions, counts, edges, [align.LineErrors(c) for c in self._read_around(one)])

    def _counted(
        self, one: Run, functions: tuple[PixelEnergy, ...] | Exception, binned: bin_stage.Binned | Exception
    ) -> Counted | Exception:
        """What the blocks of a scan came to; photon lists are counted here."""
        if isinstance(functions, Exception):
            return functions
        edges = bin_stage.map_edges(self.config.map)
        try:
            if one.name in self.listed:
                return photons.read(paths.photon_list(self.out, one.name), edges)
            if one.photon_list is not None:
                return bin_stage.bin_photon_list(one, edges, self.config.beamtime.exclude.pixels)
            if isinstance(binned, Exception):
                return binned
            return binned, bin_stage.without_silent(binned, bin_stage.without_changed(binned, functions))
        except Exception as error:
            return error

    def _functions(self, one: Run) -> tuple[PixelEnergy, ...]:
        """The energy function of each pixel of a scan; none for a photon list."""
        if one.photon_list is not None or one.name in self.listed:
            return ()
        if not one.pulse_files:
            raise RunFailed(f"{one.name}: has no pulse files")
        calibrations = self._read_around(one)
        excluded = self.config.beamtime.exclude.pixels
        span = int(one.points.start_ns[0]) / 1e9, int(one.points.end_ns[-1]) / 1e9
        moved, jumps = self._moved_by(one, calibrations), self._jumps(one, calibrations)
        functions = pixel_energies(one.pulse_files, span, calibrations, excluded, jumps, moved)
        return best_resolved(one.pulse_files, functions, calibrations, self._best(one))

    def _tasks(
        self, one: Run, functions: tuple[PixelEnergy, ...], size: int, parts: Path | None
    ) -> list[bin_stage.BinTask]:
        """The blocks of pixels of a scan; `parts`: the folder for the parts of its photon list."""
        if not functions:
            return []
        edges, cut = bin_stage.map_edges(self.config.map), self.config.calibration.residual_cut
        if parts:
            parts.mkdir()
        return [
            bin_stage.BinTask(files, some, one.points, edges, cut, parts / f"{k:05d}" if parts else None)
            for k in range(0, len(functions), size)
            for files, some in [(one.pulse_files[k : k + size], functions[k : k + size])]
        ]

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
        if self.until == STAGES[-1]:  # in other processes, while the rest is done in this one
            names = [c.name for c in self.beamtime.calibrations]
            calibrated = [n for n in names if paths.calibration_product(self.out, n) in self.ledger.keys]
            self.begun.append(self._begin_figures(report.plan_calibrations(self.out, calibrated)))
        for (sample, edge), scans in self._groups().items():
            path = paths.map_product(self.out, sample, edge)
            name = path.stem
            with self.ledger.attempt(name, path):
                scan_paths = [paths.scan_product(self.out, s.name) for s in scans]
                bins = self.config.map
                science: dict[str, Any] = {"incident": [bins.incident, bins.incident_step]}
                science |= {"elastic_offset": bins.elastic_offset, "i0_noise": self.config.normalise.i0_noise}
                science |= {"passes": self.config.passes.model_dump(mode="json")}
                key = self.ledger.key(
                    science, {"scans": provenance.config_hash({"keys": [self.ledger.keys[p] for p in scan_paths]})}
                )
                if self.ledger.wanted(name, path, key):
                    dataset, facts, warnings = self._combined(scan_paths, name)
                    self.ledger.write(path, {"entry": dataset}, "intensity")
                    self.summary.made(name, {"scans": [s.name for s in scans]} | facts, warnings)

    def _combined(self, scan_paths: Sequence[Path], name: str) -> tuple[xr.Dataset, dict[str, Any], list[str]]:
        """A map, what is told of its passes, and warnings; the passes themselves are held no longer."""
        done = [products.read_entry(p, without=combine.NOT_ADDED) for p in scan_paths]
        examined = passes.examine(done, self.config.passes, name)
        dataset, warnings = combine.combine_scans(examined.scans, self.config.map, name, self.config.normalise)
        facts = {"passes": examined.facts, "results": examined.results}
        return dataset.assign_attrs(passes=examined.facts), facts, examined.warnings + warnings

    def _extract(self) -> None:
        for sample, edge in self._groups():
            source, path = paths.map_product(self.out, sample, edge), paths.spectra_product(self.out, sample, edge)
            name = f"{path.stem} spectra"
            if source not in self.ledger.keys:
                continue
            with self.ledger.attempt(name, path):
                regions = extract.regions_of(edge, self.config.regions)
                blanks = self._blank_maps(edge, sample)
                science = {"regions": {n: r.model_dump(mode="json") for n, r in regions.items()}}
                science |= {"efficiency": self.config.normalise.efficiency} | self.config.science("geometry")
                inputs = {"map": provenance.config_hash(self.ledger.keys[source])}
                inputs |= {f"blank {n}": provenance.config_hash(self.ledger.keys[p]) for n, p in blanks.items()}
                key = self.ledger.key(science, inputs)
                if self.ledger.wanted(name, path, key):
                    rixs_map = products.read_entry(source)
                    blank_maps = {n: products.read_entry(p) for n, p in blanks.items()}
                    beside = extract.beside(self.config, self.reference, rixs_map, blank_maps)
                    spectra, warnings = extract.extract_spectra(rixs_map, self.config.regions, path.stem, beside)
                    if not spectra:
                        raise RunFailed(f"{path.stem}: no region touches this map; see `regions` in the config")
                    self.ledger.write(path, spectra, "intensity")
                    self.summary.made(name, {"regions": list(spectra)}, warnings)

    def _blank_maps(self, edge: str, sample: str) -> dict[str, Path]:
        """The maps of the blank samples that regions of an edge subtract; what is not there is told by the region."""
        names = extract.blanks_of(edge, self.config.regions)
        found = {name: paths.map_product(self.out, name, edge) for name in names if name != sample}
        return {name: path for name, path in found.items() if path in self.ledger.keys}

    def _absorption(self) -> None:
        """TEY, TFY and XAS of every sample and edge whose scans have such readings."""
        asked = self.config.xas
        for (sample, edge), scans in self._groups().items():
            spectra, path = paths.spectra_product(self.out, sample, edge), paths.xas_product(self.out, sample, edge)
            if spectra not in self.ledger.keys or not any(c in s.readings for s in scans for c in asked.channels):
                continue
            name = f"{path.stem} xas"
            with self.ledger.attempt(name, path):
                scan_paths = [paths.scan_product(self.out, s.name) for s in scans]
                inputs = {p.stem: provenance.config_hash(self.ledger.keys[p]) for p in (*scan_paths, spectra)}
                key = self.ledger.key({"xas": asked.model_dump(mode="json")}, inputs)
                if self.ledger.wanted(name, path, key):
                    pfys = [s for s in products.read_entries(spectra).values() if '"pfy"' in s.attrs["region"]]
                    tables = "counts", *combine.NOT_ADDED  # large ones, of which no reading is taken
                    done = [products.read_entry(p, without=tables) for p in scan_paths]
                    found, warnings = xas.absorption_spectra(done, next(iter(pfys), None), asked, path.stem)
                    self.ledger.write(path, found, "intensity")
                    self.summary.made(name, {"channels": list(found)}, warnings)

    def _compare(self) -> None:
        self._absorption()
        for name, asked in self.config.compare.items():
            done = [g for g in self._groups() if paths.spectra_product(self.out, *g) in self.ledger.keys]
            for edge in dict.fromkeys(edge for _, edge in done):
                samples = [sample for sample in asked.samples if (sample, edge) in done]
                if len(samples) > 1 and self._is_compared(asked, edge):
                    self._compare_at(name, edge, samples)

    def _is_compared(self, asked: Comparison, edge: str) -> bool:
        """Whether a comparison has anything to do at an edge."""
        energy = np.concatenate([one.points.incident_energy for one in self.scans if one.edge == edge])
        limits = float(np.nanmin(energy)), float(np.nanmax(energy))
        return compare.concerns(asked, extract.regions_of(edge, self.config.regions), limits)

    def _compare_at(self, name: str, edge: str, samples: Sequence[str]) -> None:
        """Samples at one edge, each against the first."""
        asked, path = self.config.compare[name], paths.comparison_product(self.out, name, edge)
        told = f"compare {path.stem}"
        maps = [paths.map_product(self.out, sample, edge) for sample in samples]
        spectra = [paths.spectra_product(self.out, sample, edge) for sample in samples]
        with self.ledger.attempt(told, path):
            regions = extract.regions_of(edge, self.config.regions)
            science = {"compare": asked.model_dump(mode="json"), "samples": list(samples)}
            inputs = {p.stem: provenance.config_hash(self.ledger.keys[p]) for p in spectra}
            if not self.ledger.wanted(told, path, self.ledger.key(science, inputs)):
                return
            sources = {
                sample: compare.Sources(products.read_entry(rixs_map), products.read_entries(found))
                for sample, rixs_map, found in zip(samples, maps, spectra, strict=True)
            }
            entries, results, refused = compare.compare_samples(sources, asked, regions)
            if not entries:
                reasons = "; ".join(refused) or "the samples share none of its regions"
                raise RunFailed(f"{path.stem}: nothing is compared: {reasons}")
            self.ledger.write(path, entries, "difference")
            self.summary.made(told, {"results": results}, [f"{path.stem}: {line}" for line in refused])

    def _report(self) -> None:
        groups = [g for g in self._groups() if paths.spectra_product(self.out, *g) in self.ledger.keys]
        self.begun.append(self._begin_figures(report.plan_results(self.out, self.config, groups)))
        for name, key, outcome in chain.from_iterable(self.begun):
            with self.ledger.attempt(f"{name} figures", self.out / "figures"):
                if isinstance(outcome, Exception):
                    raise outcome
                self.summary.drew(name, key, outcome.shown, outcome.drawn)

    def _begin_figures(self, planned: Iterable[report.Figures]) -> Drawn:
        """Have those figures drawn that are not fresh."""
        named, tasks = [], []
        for figures in planned:
            key = provenance.config_hash(
                {"sources": [self.ledger.keys.get(p) for p in figures.sources], "options": figures.options}
                | {"code": provenance.code_version()}
            )
            name = f"{figures.name} figures"
            if self.summary.figures_fresh(figures.name, key) and not self.ledger.force:
                self.summary.fresh(name)
            elif self.summary.stale(name, self.out / "figures", "not made yet from these sources"):
                known = {} if self.ledger.force else self.summary.shown_before(figures.name)
                named.append((figures.name, key))
                tasks.append(report.DrawTask(self.out, figures.add, known))
        done = self.drawing.outcomes(report.DrawTask.__call__, tasks)
        return ((*about, outcome) for about, outcome in zip(named, done, strict=True))


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
