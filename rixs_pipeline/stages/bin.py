"""Bin: the pulses of a scan become its map and, if asked for, calibrated photons."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.models import Config
from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.io import nexus, photon_store, provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.facts import scan_facts
from rixs_pipeline.stages.scan.calibrated_photons import write_calibrated_photons
from rixs_pipeline.stages.scan.count_scans import ScanCounter
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.response_tail import average_tail_over_pixels
from rixs_pipeline.stages.scan.scan_map import (
    ExposureScale,
    estimate_throughput,
    i0_reference,
    make_scan_map,
    map_edges,
    with_elastic_offset,
)
from rixs_pipeline.stages.scan.surrounding_calibrations import SurroundingCalibrations
from rixs_pipeline.stages.stage import Content, Product, Result, Stage, dataset_writer
from rixs_pipeline.types import Outcome, are_ok

Throughput = dict[int, float]  # pixel -> relative to the mean pixel


@dataclass(frozen=True)
class PhotonStore:
    """The calibrated photons of a scan, kept beside its map."""

    scan: Run


class Bin(Stage[Run | PhotonStore]):
    """The maps and the calibrated photons of scans."""

    verb = "bin"
    reads_pulses = True

    def __init__(self, context: RunContext) -> None:
        super().__init__(context)
        self.calibrations = SurroundingCalibrations(context)
        scans, normalise = context.beamtime.scans, context.config.normalise
        i0_means = (i0_reference(scan, normalise) for scan in scans)
        self.i0_reference = next((mean for mean in i0_means if mean), None)
        self.leading_scans = {s.name: leading_scan(scans, s) for s in context.scans}

    def products(self) -> list[Product[Run | PhotonStore]]:
        """Return the maps, those of leading scans first, then the photon stores."""
        out, scans = self.context.out, self.context.scans
        ordered = sorted(scans, key=lambda s: self.leading_scans[s.name].name != s.name)
        maps: list[Product[Run | PhotonStore]] = [
            Product(scan.name, paths.scan_product(out, scan.name), scan)
            for scan in ordered
        ]
        if not self.context.config.map.keep_photons:
            return maps
        stores: list[Product[Run | PhotonStore]] = [
            Product(
                f"{scan.name} photons",
                paths.photon_list(out, scan.name),
                PhotonStore(scan),
            )
            for scan in scans
            if scan.photon_list is None
        ]
        return maps + stores

    def options(self, product: Product[Run | PhotonStore]) -> Mapping[str, Any]:
        """Return what counts depend on; of a map also bins, I0 and excluded points."""
        if isinstance(product.source, PhotonStore):
            return self._photon_options(product.source.scan)
        return self._map_options(product.source)

    def _photon_options(self, scan: Run) -> dict[str, Any]:
        config = self.context.config
        return {
            "residual_cut": config.calibration.residual_cut,
            "align": config.calibration.align,
            "pixels": sorted(config.beamtime.exclude.pixels),
            "best_pixels": self.calibrations.best_pixels(scan),
        }

    def _count_options(self, scan: Run) -> dict[str, Any]:
        bins = self.context.config.map
        return self._photon_options(scan) | {"map": [bins.emission, bins.step]}

    def _map_options(self, scan: Run) -> dict[str, Any]:
        config = self.context.config
        of_combining = {"i0_noise", "efficiency"}
        reference_set = self.context.reference_set.model_dump(mode="json")
        return self._count_options(scan) | {
            "i0_ref": self.i0_reference,
            "normalise": config.normalise.model_dump(mode="json", exclude=of_combining),
            "points": excluded_points(scan, config),
            "reference": provenance.config_hash(reference_set),
        }

    def inputs(self, product: Product[Run | PhotonStore]) -> Mapping[str, str]:
        """Return digests of pulses, log, calibrations, and of the leading scan."""
        if isinstance(product.source, PhotonStore):
            return self._count_inputs(product.source.scan)
        return self._map_inputs(product.source)

    def _count_inputs(self, scan: Run) -> dict[str, str]:
        context, calibrations = self.context, self.calibrations
        scans_with_jumps = {
            other.name: context.products.pulse_digest(other)
            for other in calibrations.scans_with_jumps(scan)
        }
        return {
            "pulses": context.products.pulse_digest(scan),
            "run": provenance.run_digest(scan),
            "calibrations": context.key_digests(calibrations.interval(scan)),
            "between": provenance.config_hash(scans_with_jumps),
        }

    def _map_inputs(self, scan: Run) -> dict[str, str]:
        leading = leading_scan(self.context.beamtime.scans, scan)
        sources: dict[str, Any] = {}
        if leading is not scan:
            sources["counts"] = [
                self._count_options(leading),
                self._count_inputs(leading),
            ]
        throughput = provenance.config_hash(sources)
        return self._count_inputs(scan) | {"throughput": throughput}

    def compute(
        self, products: Sequence[Product[Run | PhotonStore]]
    ) -> Iterator[Result[Run | PhotonStore]]:
        """Count every scan once, and make its map and its photon store from that.

        A leading scan without a fresh map is counted too: the throughput of the pixels
        comes from it.
        """
        maps, stores = {}, {}
        for product in products:
            if isinstance(product.source, PhotonStore):
                stores[product.source.scan.name] = product
            else:
                maps[product.source.name] = product
        leading = {
            scan.name: scan for scan in (self.leading_scans[name] for name in maps)
        }
        throughput = {
            name: Outcome(weights)
            for name, scan in leading.items()
            if name not in maps and (weights := self._read_throughput(scan))
        }
        uncounted = [name for name in leading if name not in throughput]
        by_name = {scan.name: scan for scan in self.context.scans} | leading
        # leading scans come before those that need their throughput
        names = dict.fromkeys([*uncounted, *maps, *stores])
        scans = [by_name[name] for name in names]
        counter = ScanCounter(
            self.context, self.calibrations, self._fresh_photon_stores(stores)
        )
        with self._part_folders(stores) as part_folders:
            outcomes = counter.count(scans, part_folders)
            for scan, counted in zip(scans, outcomes, strict=True):
                name = scan.name
                if name in stores:
                    write = partial(_photon_content, part_folders[name])
                    yield Result(stores[name], counted.then(write))
                if name in leading:
                    throughput[name] = counted.then(self._estimate_throughput)
                if name in maps:
                    leading_name = self.leading_scans[name].name
                    make_map = partial(self._map_content, throughput[leading_name])
                    yield Result(maps[name], counted.then(make_map))

    def _fresh_photon_stores(self, stale: Mapping[str, Any]) -> dict[str, Path]:
        stores = {
            product.source.scan.name: product.path
            for product in self.products()
            if isinstance(product.source, PhotonStore)
        }
        return {
            name: path
            for name, path in stores.items()
            if name not in stale and self.context.has(path)
        }

    @contextmanager
    def _part_folders(self, stores: Mapping[str, Any]) -> Iterator[dict[str, Path]]:
        """Provide a folder for the parts of each photon store."""
        if not stores:
            yield {}
            return
        parent = paths.photon_list(self.context.out, "").parent
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=parent) as folder:
            yield {name: Path(folder) / name for name in stores}

    def _map_content(
        self, throughput: Outcome[Throughput], counted: CountedScan
    ) -> Content:
        """Return the map of a scan."""
        scan, is_used = counted.scan, counted.is_used
        if not is_used.any():
            reasons = sorted({str(energy.status) for energy in counted.energies})
            raise RunFailed(f"{scan.name}: no usable pixel ({'; '.join(reasons[:3])})")
        if not counted.counts.triggers[is_used].any():
            raise RunFailed(
                f"{scan.name}: no pulses in its points; check its times and pulse files"
            )
        config, reference_set = self.context.config, self.context.reference_set
        scan_map = make_scan_map(
            counted,
            map_edges(config.map),
            config.normalise,
            ExposureScale(self.i0_reference or 1.0, throughput.unwrap()),
            excluded_points(scan, config),
        )
        dataset = with_elastic_offset(scan_map.dataset, reference_set)
        if scan.photon_list is None:  # otherwise calibrated elsewhere
            tail = average_tail_over_pixels(dataset, self.calibrations.tails(scan))
            dataset = dataset.assign_attrs(tail)
            dataset = dataset.assign_attrs(reference_set.attributes())
        write = dataset_writer({"entry": dataset}, "counts")
        return Content(write, scan_facts(dataset), scan_map.warnings)

    def _estimate_throughput(self, counted: CountedScan) -> Throughput:
        """Return the throughput of the pixels from the counts of a leading scan."""
        brightness = self.calibrations.brightness(counted.scan)
        normalise = self.context.config.normalise
        return estimate_throughput(counted, normalise, brightness)

    def _read_throughput(self, scan: Run) -> Throughput | None:
        """Return the throughput from the map of a leading scan, if it is fresh."""
        path = paths.scan_product(self.context.out, scan.name)
        options, inputs = self._map_options(scan), self._map_inputs(scan)
        if not self.context.products.has_product(path, options, inputs):
            return None
        try:
            dataset = nexus.read_entry(path)
        except InputError:  # damaged: the scan is counted again
            return None
        pixels, weights = dataset["pixel"].values, dataset["throughput"].values
        is_used = are_ok(dataset["pixel_status"].values)
        return {
            int(pixel): float(weight)
            for pixel, weight in zip(pixels[is_used], weights[is_used], strict=True)
        }


def _photon_content(parts: Path, counted: CountedScan) -> Content:
    """Return the photon store of a scan; its parts are removed when it is written."""
    part_files = sorted(parts.iterdir())

    def write(path: Path, attributes: Mapping[str, str]) -> None:
        write_calibrated_photons(path, counted, part_files, attributes)
        shutil.rmtree(parts)

    return Content(write, {"photons": photon_store.count_photons(part_files)})


def leading_scan(scans: Sequence[Run], scan: Run) -> Run:
    """Return the scan that sets the pixels' throughput for a scan's sample and edge.

    It is the first complete one with pulses: one scan, not all, so that a scan that is
    added later changes no earlier one.
    """
    group = [s for s in scans if (s.sample, s.edge) == (scan.sample, scan.edge)]
    with_pulses = [s for s in group if s.pulse_files or s.photon_list]
    candidates = with_pulses or group
    return next((s for s in candidates if s.complete), candidates[0])


def excluded_points(scan: Run, config: Config) -> tuple[int, ...]:
    """Return the numbers of a scan's points that the config excludes."""
    points = config.beamtime.exclude.points
    return points.get(scan.name, points.get(scan.number, ()))
