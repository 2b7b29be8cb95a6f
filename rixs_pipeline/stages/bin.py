"""Bins scans into maps, and keeps lists of their photons: what each is made from, and its making."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.models import Config
from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.scan import scan_map
from rixs_pipeline.stages.scan.calibrated_photons import write_calibrated_photons
from rixs_pipeline.stages.scan.count_scans import Counting
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.response_tail import average_tail_over_pixels
from rixs_pipeline.stages.scan.surrounding_calibrations import ReferenceRuns
from rixs_pipeline.types import are_ok

Throughput = (
    dict[int, float] | Exception | None
)  # by pixel; what was wrong; or not known yet


class Binning:
    """The stage; of its scans, those that are `listed` have a fresh list of their photons."""

    def __init__(self, work: Work, references: ReferenceRuns) -> None:
        """`references`: the reference runs that scans rest on."""
        self.work = work
        self.references = references
        self.listed: set[str] = set()
        scans, normalise = work.beamtime.scans, work.config.normalise
        self.flux = next(
            filter(None, (scan_map.i0_reference(s, normalise) for s in scans)), None
        )
        self.leads = {one.name: leader(scans, group_of(one)) for one in work.scans}

    def run(self) -> None:
        """Scans in order of time, but the one that sets the scale of its sample and edge before the others."""
        stale: dict[str, Run] = {}
        for one in sorted(
            self.work.scans, key=lambda s: self.leads[s.name].name != s.name
        ):
            path = paths.scan_product(self.work.out, one.name)
            with self.work.ledger.attempt(one.name, path):
                key = (
                    {}
                    if self.work.is_plainly_stale(path)
                    else self._scan_key(one, self.leads[one.name])
                )
                if self.work.ledger.wanted(one.name, path, key):
                    stale[one.name] = one
        with self._photon_lists() as unlisted:
            self._bin_scans(stale, unlisted)

    def _counted_from(self, one: Run) -> tuple[dict[str, Any], dict[str, str]]:
        """The config and the inputs that the counts of a scan, and with them its throughput, follow from."""
        config = self.work.config
        science = {
            "map": [config.map.emission, config.map.step],
            "residual_cut": config.calibration.residual_cut,
            "align": config.calibration.align,
            "pixels": sorted(config.beamtime.exclude.pixels),
            "best_pixels": self.references.best(one),
        }
        ledger = self.work.ledger
        around = [ledger.keys[path] for path in self.references.around(one)]
        inputs = {
            "pulses": ledger.pulse_digest(one),
            "run": provenance.run_digest(one),
            "calibrations": provenance.config_hash({"keys": around}),
            "between": provenance.config_hash(
                {s.name: ledger.pulse_digest(s) for s in self.references.between(one)}
            ),
        }
        return science, inputs

    def _scan_key(self, one: Run, lead: Run) -> dict[str, str]:
        science, inputs = self._counted_from(one)
        science |= {
            "i0_ref": self.flux,
            "normalise": self.work.config.normalise.model_dump(
                mode="json", exclude={"i0_noise", "efficiency"}
            ),
            "points": points_excluded(one, self.work.config),
            "reference": provenance.config_hash(
                self.work.reference.model_dump(mode="json")
            ),
        }
        weights = {"counts": self._counted_from(lead)} if lead is not one else {}
        return self.work.ledger.key(
            science, inputs | {"throughput": provenance.config_hash(weights)}
        )

    @contextmanager
    def _photon_lists(self) -> Iterator[dict[str, Path]]:
        """Scans whose photons are to be kept and have no fresh list, and a folder for the parts of each."""
        unlisted: list[Run] = []
        for one in self.work.scans if self.work.config.map.keep_photons else []:
            path = paths.photon_list(self.work.out, one.name)
            if one.photon_list is None:
                with self.work.ledger.attempt(f"{one.name} photons", path):
                    key = (
                        {}
                        if self.work.is_plainly_stale(path)
                        else self._photons_key(one)
                    )
                    if self.work.ledger.wanted(f"{one.name} photons", path, key):
                        unlisted.append(one)
                    elif not self.work.summary.dry_run:
                        self.listed.add(one.name)
        if not unlisted:
            yield {}
            return
        parent = paths.photon_list(self.work.out, "").parent
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=parent) as folder:
            yield {one.name: Path(folder) / one.name for one in unlisted}

    def _photons_key(self, one: Run) -> dict[str, str]:
        """What a list is made from: what the counts are, but for the bins."""
        science, inputs = self._counted_from(one)
        del science["map"]
        return self.work.ledger.key(science, inputs)

    def _bin_scans(self, stale: dict[str, Run], unlisted: dict[str, Path]) -> None:
        """Count the scans, and before them the leading ones that have no fresh product; write each as it is done.

        `unlisted`: scans of which a photon list is written too, and the folder for its parts.
        """
        needed = {self.leads[name].name: self.leads[name] for name in stale}
        known = {
            name: self._throughput_in_product(lead)
            for name, lead in needed.items()
            if name not in stale
        }
        uncounted = [needed[name] for name, weights in known.items() if weights is None]
        listing = [one for one in self.work.scans if one.name in unlisted]
        todo = {one.name: one for one in (*uncounted, *stale.values(), *listing)}
        counting = Counting(self.work, self.references, self.listed)
        for one, counted in counting.counts(list(todo.values()), unlisted):
            if one.name in unlisted:
                self._write_photons(one, counted, unlisted[one.name])
            if one.name in needed:
                known[one.name] = self._throughput_from(one, counted)
            path = paths.scan_product(self.work.out, one.name)
            if one.name in stale:
                with self.work.ledger.attempt(one.name, path):
                    self._write_scan(
                        one, counted, known[self.leads[one.name].name], path
                    )

    def _write_photons(
        self, one: Run, counted: CountedScan | Exception, parts: Path
    ) -> None:
        path = paths.photon_list(self.work.out, one.name)
        with self.work.ledger.attempt(f"{one.name} photons", path):
            if isinstance(counted, Exception):
                raise counted
            about = self.work.ledger.keys[path] | {"command": self.work.ledger.command}
            number = write_calibrated_photons(
                path, counted, sorted(parts.iterdir()), about
            )
            self.work.ledger.wrote(path)
            self.work.summary.made(f"{one.name} photons", {"photons": number}, [])
            shutil.rmtree(parts)

    def _write_scan(
        self,
        one: Run,
        counted: CountedScan | Exception,
        throughput: Throughput,
        path: Path,
    ) -> None:
        if isinstance(counted, Exception):
            raise counted
        is_used = counted.is_used
        if not is_used.any():
            reasons = sorted({str(energy.status) for energy in counted.energies})
            raise RunFailed(
                f"{one.name}: no pixel can be used ({'; '.join(reasons[:3])})"
            )
        if not counted.counts.triggers[is_used].any():
            raise RunFailed(
                f"{one.name}: no pulses in its points; check its times and pulse files"
            )
        if isinstance(throughput, Exception):
            raise throughput
        config = self.work.config
        points, edges = points_excluded(one, config), scan_map.map_edges(config.map)
        scale = scan_map.ExposureScale(self.flux or 1.0, throughput or {})
        made = scan_map.make_scan_map(counted, edges, config.normalise, scale, points)
        dataset = scan_map.with_elastic_offset(made.dataset, self.work.reference)
        if one.photon_list is None:  # whose energies are somebody else's
            dataset = dataset.assign_attrs(
                average_tail_over_pixels(dataset, self.references.tails(one))
            )
            dataset = dataset.assign_attrs(self.work.reference.attributes())
        self.work.ledger.write(path, {"entry": dataset}, "counts")
        self.work.summary.binned(one.name, dataset, made.warnings)

    def _throughput_from(
        self, lead: Run, counted: CountedScan | Exception
    ) -> Throughput:
        """Throughput from the counts of a group's leading scan; or what is wrong with them."""
        if isinstance(counted, Exception):
            return counted
        try:
            return scan_map.estimate_throughput(
                counted, self.work.config.normalise, self.references.brightness(lead)
            )
        except Exception as error:
            return error

    def _throughput_in_product(self, lead: Run) -> Throughput:
        """Throughput from the product of a group's leading scan; None where it is not there or not fresh."""
        path = paths.scan_product(self.work.out, lead.name)
        if path not in self.work.ledger.keys and self.work.ledger.why_stale(
            path, self._scan_key(lead, lead)
        ):
            return None
        try:
            dataset = products.read_entry(path)
        except InputError:  # damaged: counted again
            return None
        used = are_ok(dataset["pixel_status"].values)
        rows = zip(
            dataset["pixel"].values, dataset["throughput"].values, used, strict=True
        )
        return {int(p): float(w) for p, w, u in rows if u}


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
