"""Bin: the pulses of a scan become its map and, if asked for, calibrated photons."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.core.flux.blank import Response
from rixs_pipeline.io.runs import Run
from rixs_pipeline.io.temporaries import temporary_folder
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.scan.exposure_scale import (
    ExposureScale,
    Throughput,
    leading_scan,
    read_throughput,
)
from rixs_pipeline.stages.scan.incident_flux import find_blanks, find_i0_reference
from rixs_pipeline.stages.stage import Content, Product, Result, Stage
from rixs_pipeline.types import Outcome


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
        self._digests: dict[str, str] = {}
        self.leading_scans = {
            scan.name: leading_scan(self.calibrations.companions(scan), scan)
            for scan in context.beamtime.scans
        }

    @cached_property
    def blanks(self) -> tuple[Response, ...]:
        """Responses of I0 for double normalisation."""
        context = self.context
        return find_blanks(context.beamtime.scans, context.config.normalise)

    @cached_property
    def i0_reference(self) -> float | None:
        """The I0 that all exposures are relative to."""
        scans = self.context.beamtime.scans
        companions: tuple[Run, ...] = ()
        if scans and self.calibrations.is_closed(scans[0]):
            companions = self.calibrations.companions(scans[0])
        normalise = self.context.config.normalise
        return find_i0_reference(scans, normalise, self.blanks, companions)

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
        best_pixels = self.calibrations.best_pixels(scan)
        return self._options_of_counts | {"best_pixels": best_pixels}

    @cached_property
    def _options_of_counts(self) -> dict[str, Any]:
        config = self.context.config
        return {
            "residual_cut": config.calibration.residual_cut,
            "align": config.calibration.align,
            "scan_drift": config.calibration.scan_drift,
            "hidden_drift": config.calibration.model_dump()["hidden_drift"],
            "displaced_pixels": config.calibration.displaced_pixels,
            "baseline_jumps": config.calibration.baseline_jumps,
            "pixels": sorted(config.beamtime.exclude.pixels),
        }

    @cached_property
    def _options_of_maps(self) -> dict[str, Any]:
        config = self.context.config
        elsewhere = {"i0_noise", "efficiency", "i0_scale", "blank", "blank_channel"}
        reference_set = self.context.reference_set.model_dump(mode="json")
        return {
            "i0_ref": self.i0_reference,
            "normalise": config.normalise.model_dump(mode="json", exclude=elsewhere),
            "blanks": [blank.as_json() for blank in self.blanks],
            "reference": self.context.digest(reference_set),
        }

    def _count_options(self, scan: Run) -> dict[str, Any]:
        bins = self.context.config.map
        return self._photon_options(scan) | {"map": [bins.emission, bins.step]}

    def _map_options(self, scan: Run) -> dict[str, Any]:
        scale = self.context.config.normalise.scale_of(scan.name, scan.number)
        own = {
            "i0_scale": sorted(scale.items()),
            "points": self.context.excluded_points(scan),
        }
        return self._count_options(scan) | self._options_of_maps | own

    def inputs(self, product: Product[Run | PhotonStore]) -> Mapping[str, str]:
        """Return digests of pulses, log, calibrations, and of the leading scan."""
        if isinstance(product.source, PhotonStore):
            return self._count_inputs(product.source.scan)
        return self._map_inputs(product.source)

    def _count_inputs(self, scan: Run) -> dict[str, str]:
        context, calibrations = self.context, self.calibrations
        companions = {
            companion.name: self._companion_digest(companion)
            for companion in calibrations.fitted_with(scan)
            if scan.photon_list is None
        }
        return {
            "pulses": context.products.pulse_digest(scan),
            "log": self.context.run_digest(scan),
            "reference runs": context.key_digests(calibrations.interval(scan)),
            "other scans of the interval": self.context.digest(companions),
        }

    def _companion_digest(self, scan: Run) -> str:
        """Return a digest of the pulses of a scan, and of its log but for readings.

        Readings of a companion count through `i0_reference` alone.
        """
        if scan.name not in self._digests:
            pulses = self.context.products.pulse_digest(scan)
            run = self.context.run_digest(scan, with_readings=False)
            self._digests[scan.name] = self.context.digest(
                {"pulses": pulses, "run": run}
            )
        return self._digests[scan.name]

    def _map_inputs(self, scan: Run) -> dict[str, str]:
        leading = self.leading_scans[scan.name]
        sources: dict[str, Any] = {}
        if leading is not scan:
            sources["counts"] = [
                self._count_options(leading),
                self._count_inputs(leading),
            ]
        throughput = self.context.digest(sources)
        return self._count_inputs(scan) | {"first scan of the sample": throughput}

    def compute(
        self, products: Sequence[Product[Run | PhotonStore]]
    ) -> Iterator[Result[Run | PhotonStore]]:
        """Count every scan once, and make its map and its photon store from that.

        A leading scan without a fresh map is counted too: the throughput of the pixels
        comes from it.
        """
        from rixs_pipeline.stages.scan.calibrated_photons import photon_content
        from rixs_pipeline.stages.scan.count_scans import count_scans
        from rixs_pipeline.stages.scan.scan_product import find_throughput

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
        estimate = partial(find_throughput, self.context, self.calibrations)
        with self._part_folders(stores) as part_folders:
            outcomes = count_scans(
                self.context,
                self.calibrations,
                scans,
                photon_stores=self._fresh_photon_stores(stores),
                part_folders=part_folders,
            )
            for scan, counted in zip(scans, outcomes, strict=True):
                name = scan.name
                if name in stores:
                    write = partial(photon_content, part_folders[name])
                    yield Result(stores[name], counted.then(write))
                if name in leading:
                    throughput[name] = counted.then(estimate)
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
        parts = paths.photon_list(self.context.out, "parts")
        with temporary_folder(parts) as folder:
            yield {name: folder / name for name in stores}

    def _map_content(self, throughput: Outcome[Throughput], counted: Any) -> Content:
        from rixs_pipeline.stages.scan.scan_product import map_content

        scale = ExposureScale(
            self.i0_reference or 1.0, throughput.unwrap(), self.blanks
        )
        return map_content(self.context, self.calibrations, scale, counted)

    def _read_throughput(self, scan: Run) -> Throughput | None:
        """Return the throughput from the map of a leading scan, if it is fresh."""
        path = paths.scan_product(self.context.out, scan.name)
        options, inputs = self._map_options(scan), self._map_inputs(scan)
        if not self.context.products.has_product(path, options, inputs):
            return None
        return read_throughput(path)
