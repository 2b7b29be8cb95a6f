"""What is run, in which order, what is fresh, and the summary of it all (`run.json`)."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ReferenceSet
from rixs_pipeline.errors import InputError, RixsError, RunFailed, UsageError
from rixs_pipeline.execution import Executor
from rixs_pipeline.io import discovery, inspection, off, products, provenance
from rixs_pipeline.io.config_files import dump_config, initial_config, load_config
from rixs_pipeline.io.reference_sets import load_reference_set
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages import bin as bin_stage
from rixs_pipeline.stages import calibrate, combine, extract, report, scan_map
from rixs_pipeline.stages.calibrations import PixelEnergy, best_resolved, jumped_by, pixel_energies
from rixs_pipeline.stages.jumps import jump_times
from rixs_pipeline.summary import Summary
from rixs_pipeline.summary import read as read_summary

STAGES = ("calibrate", "bin", "combine", "extract", "report")
PIXELS_A_BLOCK = 8
CHANGED = {"config_hash": "config", "input_hashes": "input", "program_version": "program version"}

log = logging.getLogger("rixs_pipeline")


@dataclass(frozen=True)
class Options:
    """What a command line asks for, apart from the config."""

    until: str = "report"
    scans: str | None = None  # "1,3-7" or names
    force: bool = False
    dry_run: bool = False
    command: str = ""


def run(beamtime_path: Path, config: Config, out: Path, options: Options) -> Summary:
    """Reduce a beamtime: everything that is not fresh, up to the stage asked for.

    Raises:
        RixsError: the input as a whole cannot be used; a single run that fails is part of the summary instead.
    """
    if options.until not in STAGES:
        raise UsageError(f"--until {options.until}: no such stage; there are {', '.join(STAGES)}")
    beamtime = discovery.discover(beamtime_path, config.beamtime)
    reference = load_reference_set(config.calibration.reference)
    scans = select_scans(beamtime.scans, options.scans)
    if not options.dry_run:
        _make_folder(out, beamtime_path)
    summary = Summary(out, beamtime, options.command, options.dry_run)
    for text in summary.problems:
        log.warning("%s", text)
    for text in asked_in_vain(beamtime, config):
        summary.warn(text)
    with Executor(config.execution) as executor:
        reduction = Reduction(beamtime, scans, config, out, options, reference, executor, summary)
        try:
            reduction.run()
        finally:
            if not options.dry_run:
                reduction.digests.save()
                summary.write()
    return summary


def _make_folder(out: Path, beamtime: Path) -> None:
    """The folder for the results."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out}: no folder for results can be made there ({error.strerror}); choose another"
        ) from error
    if out.resolve() == beamtime.resolve():
        raise UsageError(f"{out}: is the beamtime itself; choose another folder for the results")


def asked_in_vain(beamtime: Beamtime, config: Config) -> list[str]:
    """One line for each pixel, scan, sample and region of the config that the beamtime does not have: likely a slip."""
    scans, exclude = beamtime.scans, config.beamtime.exclude
    pixels = {off.pixel_number(path) for run in beamtime.runs for path in run.pulse_files}
    samples = dict.fromkeys(s.sample for s in scans)
    regions = {name for s in scans if s.edge for name in extract.regions_of(s.edge, config.regions)}
    regions |= {f"log_{channel}" for channel in extract.LOG_SPECTRA}
    lines = [f"exclude.pixels: no pixel {p}" for p in exclude.pixels if pixels and p not in pixels]
    known = {s.name for s in scans} | {s.number for s in scans}
    lines += [f"exclude.points: no scan {key}" for key in exclude.points if key not in known]
    lines = [f"beamtime.{line}" for line in lines]
    for name, comparison in config.compare.items():
        lines += [f"compare.{name}: no sample '{one}'" for one in comparison.samples if one not in samples]
        lines += [f"compare.{name}: no region '{one}'" for one in comparison.regions or () if one not in regions]
    return [f"config: {line} in this beamtime" for line in lines]


def select_scans(scans: Sequence[Run], wanted: str | None) -> list[Run]:
    """The scans that `--scans` names: numbers, ranges of numbers `3-7`, or names, separated by commas.

    Raises:
        UsageError: a part that names no scan.
    """
    if wanted is None:
        return list(scans)
    chosen: list[Run] = []
    for part in filter(None, (p.strip() for p in wanted.split(","))):
        low, dash, high = part.partition("-")
        is_range = low.isdecimal() and (high.isdecimal() or not dash)
        numbers = range(int(low), int(high or low) + 1) if is_range else ()
        found = [s for s in scans if s.name == part or s.number in numbers]
        if not found:
            raise UsageError(f"--scans {wanted}: '{part}' names no scan; there are {_names(scans)}")
        chosen += [s for s in found if s not in chosen]
    if not chosen:
        raise UsageError(f"--scans {wanted}: names no scan; there are {_names(scans)}")
    return sorted(chosen, key=lambda s: scans.index(s))


def _names(scans: Sequence[Run]) -> str:
    return ", ".join(s.name for s in scans[:12]) + (", ..." if len(scans) > 12 else "") if scans else "none"


@dataclass
class Reduction:
    """One pass over the stages. Keys tell what each product was made from; a product that carries its key is fresh."""

    beamtime: Beamtime
    scans: list[Run]
    config: Config
    out: Path
    options: Options
    reference: ReferenceSet
    executor: Executor
    summary: Summary
    keys: dict[Path, dict[str, str]] = field(default_factory=dict)  # of every product that is there or was made

    def __post_init__(self) -> None:
        self.moved: dict[tuple[Path, ...], bool] = {}
        self.jumps: dict[tuple[Path, ...], dict[int, float]] = {}
        self.digests = provenance.DigestCache(self.out / paths.DIGEST_CACHE)

    def run(self) -> None:
        """All stages up to the one asked for."""
        if self.options.scans is not None and STAGES.index(self.options.until) > STAGES.index("bin"):
            self.summary.warn(
                "maps, spectra and figures hold only the scans of --scans; run without it to add them all"
            )
        if not self.options.dry_run:
            self._write_config()
        for name in STAGES[: STAGES.index(self.options.until) + 1]:
            started = time.perf_counter()
            getattr(self, f"_{name}")()
            self.summary.timings[name] = round(time.perf_counter() - started, 3)
        self._tell_leftovers()
        self.summary.whole = self.options.until == STAGES[-1] and self.options.scans is None

    def _tell_leftovers(self) -> None:
        """Products of an earlier run that this one knows nothing of: kept, since only the user knows why."""
        folders = {path.parent for path in self.keys}
        failed = {str(item.get("product")) for item in self.summary.items.values()}
        for path in sorted(p for folder in folders for p in folder.glob("*.nxs")):
            name = str(path.relative_to(self.out))
            if path not in self.keys and name not in failed and self.options.scans is None:
                self.summary.warn(f"{path}: left from an earlier run, not part of this one; delete it if it is stale")

    def _write_config(self) -> None:
        text = dump_config(self.config)
        path = self.out / paths.RESOLVED_CONFIG
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            with products.atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    # ---- freshness

    def _key(self, science: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, str]:
        return {
            "config_hash": provenance.config_hash(dict(science)),
            "input_hashes": provenance.canonical(dict(inputs)),
            "program_version": provenance.code_version(),
        }

    def _wanted(self, name: str, path: Path, key: dict[str, str]) -> bool:
        """Whether the product has to be made now; notes it as fresh or stale."""
        self.keys[path] = key
        reason = self._why_stale(path, key)
        if not reason:
            self.summary.fresh(name)
            return False
        return self.summary.stale(name, path, reason)

    def _why_stale(self, path: Path, key: dict[str, str]) -> str:
        """Why the product is not there as made from the same config, inputs and code; empty: it is."""
        if not path.is_file():
            return "not made yet"
        if self.options.force:
            return "--force"
        try:
            attributes = products.read_attributes(path)
        except RixsError as error:
            log.debug("%s", error)
            self.summary.warn(f"{path}: damaged, or not a product: made again")
            return "damaged"
        changed = [CHANGED[name] for name, value in key.items() if attributes.get(name) != value]
        return f"another {', '.join(changed)}" if changed else ""

    def _pulse_digest(self, one: Run) -> str:
        """Of the records that a run uses, in all its files."""
        if one.photon_list is not None:
            return self.digests.file(one.photon_list)
        start, end = int(one.points.start_ns[0]), int(one.points.end_ns[-1])
        return provenance.config_hash({path.name: self.digests.records(path, start, end) for path in one.pulse_files})

    def _write(self, path: Path, entries: dict[str, xr.Dataset], signal: str) -> None:
        attributes = self.keys[path] | {"command": self.options.command}
        products.write_product(path, entries, attributes, signal)
        self.summary.executed.append(str(path.relative_to(self.out)))
        log.info("wrote %s", path)

    @contextmanager
    def _attempt(self, name: str, path: Path) -> Iterator[None]:
        """What goes wrong with one run or map is told and counted; the others go on."""
        try:
            yield
        except RixsError as error:
            self._failed(name, path, str(error))
        except OSError as error:
            self._failed(name, path, f"{error.filename or path}: {error.strerror or error}")
        except Exception as error:
            log.debug("%s", name, exc_info=True)
            self._failed(name, path, f"{type(error).__name__}: {error} (a defect: please report it; -v shows where)")

    def _failed(self, name: str, path: Path, reason: str) -> None:
        self.keys.pop(path, None)
        self.summary.fail(name, reason)

    # ---- stages

    def _calibrate(self) -> None:
        stale = []
        for one in self.beamtime.calibrations:
            path = paths.calibration_product(self.out, one.name)
            with self._attempt(one.name, path):
                science = self.config.science("calibration") | {"reference": self.reference.model_dump(mode="json")}
                key = self._key(science, {"pulses": self._pulse_digest(one), "run": provenance.run_digest(one)})
                if self._wanted(one.name, path, key):
                    stale.append(one)
        task = CalibrateTask(self.reference, self.config)
        for one, (dataset, error) in zip(stale, self.executor.map(task, stale), strict=True):
            path = paths.calibration_product(self.out, one.name)
            with self._attempt(one.name, path):
                if dataset is None:
                    raise error or RunFailed(f"{one.name}: no calibration came back")
                self._write(path, {"entry": dataset}, "spectrum")
                self.summary.calibrated(one.name, dataset)

    def _calibrations_around(self, one: Run) -> list[Path]:
        """Products of the reference runs just before and just after a scan."""
        done = [
            (run_time(c), path)
            for c in self.beamtime.calibrations
            if (path := paths.calibration_product(self.out, c.name)) in self.keys
        ]
        now = run_time(one)
        return [p for t, p in done if t <= now][-1:] + [p for t, p in done if t > now][:1]

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
        around = [self.keys[path] for path in self._calibrations_around(one)]
        inputs = {
            "pulses": self._pulse_digest(one),
            "run": provenance.run_digest(one),
            "calibrations": provenance.config_hash({"keys": around}),
            "between": provenance.config_hash({s.name: self._pulse_digest(s) for s in self._between(one)}),
        }
        return science, inputs

    def _scan_key(self, one: Run, lead: Run, flux: float | None) -> dict[str, str]:
        science, inputs = self._counted_from(one)
        science |= {
            "i0_ref": flux,
            "normalise": self.config.normalise.model_dump(mode="json"),
            "points": points_excluded(one, self.config),
            "elastic_offset": self.config.map.elastic_offset,
        }
        weights = {"counts": self._counted_from(lead)} if lead is not one else {}
        return self._key(science, inputs | {"throughput": provenance.config_hash(weights)})

    def _bin(self) -> None:
        """Scans in order of time, but the one that sets the scale of its sample and edge before the others."""
        first_flux = next((s for s in self.beamtime.scans if scan_map.i0_reference(s, self.config.normalise)), None)
        flux = scan_map.i0_reference(first_flux, self.config.normalise) if first_flux else None
        leaders = {group: leader(self.beamtime.scans, group) for group in {group_of(s) for s in self.scans}}
        known: dict[str, dict[int, float]] = {}
        for one in sorted(self.scans, key=lambda s: s is not leaders[group_of(s)]):
            lead = leaders[group_of(one)]
            path = paths.scan_product(self.out, one.name)
            with self._attempt(one.name, path):
                if self._wanted(one.name, path, self._scan_key(one, lead, flux)):
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
                scan_map.relative_throughput(binned, one, functions)
                if lead is one
                else self._throughput_of(lead, edges)
            )
        scale = scan_map.Scale(flux, known[lead.name])
        points = points_excluded(one, self.config)
        dataset, warnings = scan_map.scan_dataset(one, binned, functions, edges, self.config.normalise, scale, points)
        dataset = scan_map.with_elastic_offset(dataset, self.reference, self.config.map.elastic_offset == "apply")
        self._write(path, {"entry": dataset}, "counts")
        self.summary.binned(one.name, dataset, warnings)

    def _throughput_of(self, lead: Run, edges: np.ndarray) -> dict[int, float]:
        """Throughput from the group's leading scan: from its product where that is fresh, else counted here."""
        path = paths.scan_product(self.out, lead.name)
        if path in self.keys and path.is_file():
            dataset = products.read_entry(path)
            used = [str(s).startswith("ok") for s in dataset["pixel_status"].values]
            rows = zip(dataset["pixel"].values, dataset["throughput"].values, used, strict=True)
            return {int(p): float(w) for p, w, u in rows if u}
        binned, functions = self._count(lead, edges)
        return scan_map.relative_throughput(binned, lead, functions)

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
        tasks = [
            bin_stage.BinTask(
                one.pulse_files[k : k + PIXELS_A_BLOCK], functions[k : k + PIXELS_A_BLOCK], one.points, edges, cut
            )
            for k in range(0, len(one.pulse_files), PIXELS_A_BLOCK)
        ]
        binned = self.executor.map_reduce(bin_stage.bin_block, tasks, bin_stage.add_blocks)
        return binned, bin_stage.without_silent(binned, functions)

    def _groups(self) -> dict[tuple[str, str], list[Run]]:
        """Scans of every sample and edge whose product is there."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for one in self.scans:
            if one.edge is not None and paths.scan_product(self.out, one.name) in self.keys:
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
            with self._attempt(name, path):
                scan_paths = [paths.scan_product(self.out, s.name) for s in scans]
                science = {"incident": [self.config.map.incident, self.config.map.incident_step]}
                key = self._key(
                    science, {"scans": provenance.config_hash({"keys": [self.keys[p] for p in scan_paths]})}
                )
                if self._wanted(name, path, key):
                    scans_data = [products.read_entry(p) for p in scan_paths]
                    dataset, warnings = combine.combine_scans(scans_data, self.config.map, name)
                    self._write(path, {"entry": dataset}, "intensity")
                    self.summary.made(name, {"scans": [s.name for s in scans]}, warnings)

    def _extract(self) -> None:
        for sample, edge in self._groups():
            source, path = paths.map_product(self.out, sample, edge), paths.spectra_product(self.out, sample, edge)
            name = f"{path.stem} spectra"
            if source not in self.keys:
                continue
            with self._attempt(name, path):
                regions = extract.regions_of(edge, self.config.regions)
                science = {"regions": {n: r.model_dump(mode="json") for n, r in regions.items()}}
                key = self._key(science, {"map": provenance.config_hash(self.keys[source])})
                if self._wanted(name, path, key):
                    rixs_map = products.read_entry(source)
                    spectra, warnings = extract.extract_spectra(rixs_map, self.config.regions, path.stem)
                    if not spectra:
                        raise RunFailed(f"{path.stem}: no region touches this map; see `regions` in the config")
                    self._write(path, spectra, "intensity")
                    self.summary.made(name, {"regions": list(spectra)}, warnings)

    def _report(self) -> None:
        groups = [g for g in self._groups() if paths.spectra_product(self.out, *g) in self.keys]
        calibrations = [c.name for c in self.beamtime.calibrations]
        done = [n for n in calibrations if paths.calibration_product(self.out, n) in self.keys]
        for figures in report.plan(self.out, self.config, done, groups):
            key = provenance.config_hash(
                {"sources": [self.keys[p] for p in figures.sources], "options": figures.options}
                | {"code": provenance.code_version()}
            )
            name, folder = f"{figures.name} figures", self.out / "figures"
            if self.summary.figures_fresh(figures.name, key) and not self.options.force:
                self.summary.fresh(name)
                continue
            if not self.summary.stale(name, folder, "not made yet from these sources"):
                continue
            with self._attempt(name, folder):
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


def first_config(beamtime: Path) -> str:
    """A commented config fitted to a beamtime, for a person to go on from.

    Raises:
        InputError: not a beamtime directory.
    """
    found = inspection.describe(discovery.discover(beamtime))
    edges = {run["edge"] for run in found["runs"] if run["edge"]}
    return initial_config(found, {edge: extract.regions_of(edge, None) for edge in sorted(edges)})


def status(out: Path) -> dict[str, str]:
    """What is done, stale or failed in a folder that `run` wrote: name -> state, with the reason.

    Raises:
        InputError: the folder has no run.json, or its beamtime is no longer there.
    """
    before = read_summary(out)
    if "beamtime" not in before:
        raise InputError(f"{out}: no {paths.RUN_SUMMARY} there: not a folder that `rixs-pipeline run` wrote")
    config = load_config(out / paths.RESOLVED_CONFIG)
    now = run(Path(before["beamtime"]), config, out, Options(dry_run=True))
    states = {name: ": ".join(item[k] for k in ("status", "reason") if k in item) for name, item in now.items.items()}
    failed = {name: f"failed: {reason}" for name, reason in (before["failed"] | now.failed).items()}
    return states | failed


def watch(beamtime: Path, config: Config, out: Path, every: float, rounds: int | None) -> int:
    """Reduce again and again, `every` seconds, until interrupted or for a number of rounds; the last exit code.

    A beamtime that has nothing to show yet is waited for. What was said once is not said every round.
    """
    code, done = 0, 0
    with _no_repeats():
        while True:
            try:
                code = run(beamtime, config, out, Options(command="rixs-pipeline watch")).exit_code
            except InputError as error:
                log.warning("%s", error)
                code = error.exit_code
            done += 1
            if rounds is not None and done >= rounds:
                return code
            time.sleep(every)


@contextmanager
def _no_repeats() -> Iterator[None]:
    """Warnings and errors are logged once."""
    told: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        repeated = record.levelno >= logging.WARNING and text in told
        told.add(text)
        return not repeated

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)
