"""XAS: TEY and TFY of the logs and the PFY of the map, normalised alike."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.stages.context import SampleEdge
from rixs_pipeline.stages.measurement import assign_measurement
from rixs_pipeline.stages.stage import Content, Product, Stage, dataset_writer
from rixs_pipeline.types import Edge, FloatArray


class Xas(Stage[SampleEdge]):
    """The absorption spectra of one sample and edge, one entry a channel."""

    verb = "xas"

    def products(self) -> list[Product[SampleEdge]]:
        """Return a product where there are spectra, and readings of a channel.

        A scan at one incident energy has no absorption spectrum.
        """
        out = self.context.out
        products = []
        for group in self.context.sample_edges():
            if group.is_at_one_energy:
                continue
            path = paths.xas_product(out, group.sample, group.edge)
            if self.context.has(group.spectra_path(out)) and self._has_readings(group):
                products.append(Product(f"{path.stem} xas", path, group))
        return products

    def options(self, product: Product[SampleEdge]) -> Mapping[str, Any]:
        """Return the section `xas`, and what its `auto` comes to at this edge."""
        return {
            "xas": self.context.config.xas.model_dump(mode="json"),
            "is_pre_edge_linear": self._is_pre_edge_linear(product.source.edge),
            **self.context.config.science("experiment"),
        }

    def inputs(self, product: Product[SampleEdge]) -> Mapping[str, str]:
        """Return the digests of the scans and of the spectra."""
        out, group = self.context.out, product.source
        sources = [*group.scan_paths(out), group.spectra_path(out)]
        return {path.stem: self.context.key_digest(path) for path in sources}

    def compute_product(self, product: Product[SampleEdge]) -> Content:
        """Normalise the readings of the scans and the first PFY of the map."""
        from rixs_pipeline.stages.flux.compare_readings import usable_readings
        from rixs_pipeline.stages.sample.absorption_spectra import (
            absorption_spectra,
            select_pfy,
        )

        out, group = self.context.out, product.source
        pfy = select_pfy(nexus.iterate_entries(group.spectra_path(out)))
        left_out, readings_left_out, points_left_out = self._left_out(group)
        scan_paths = [
            path
            for scan, path in zip(group.scans, group.scan_paths(out), strict=True)
            if scan.name not in left_out
        ]
        used = self.context.file_digests(scan_paths)
        scans = self.context.pass_maps.read(used, with_counts=False)
        scans = usable_readings(
            scans,
            self.context.config.xas,
            readings_left_out=readings_left_out,
            points_left_out=points_left_out,
        )
        absorption = absorption_spectra(
            scans,
            pfy,
            self.context.config.xas,
            product.path.stem,
            is_linear=self._is_pre_edge_linear(group.edge),
        )
        experiment = self.context.config.experiment
        assign_measurement(absorption.by_channel.values(), group.scans, experiment)
        facts = {"channels": list(absorption.by_channel)}
        write = dataset_writer(absorption.by_channel, "intensity")
        return Content(write, facts, absorption.warnings)

    def _left_out(self, group: SampleEdge) -> list[dict[str, Any]]:
        """Return what the map leaves out: passes, passes of readings, and points.

        Readings are divided by I0 too.
        """
        path = group.map_path(self.context.out)
        attributes = nexus.read_attributes(path) if self.context.has(path) else {}
        names = ("left_out", "readings_left_out", "points_left_out")
        return [dict(json.loads(attributes.get(name, "{}"))) for name in names]

    def _is_pre_edge_linear(self, edge: str) -> bool:
        """Return whether a line is subtracted from all samples at an edge."""
        groups = [
            group
            for group in self.context.sample_edges()
            if group.edge == edge and self._has_readings(group)
        ]
        scan_paths = [path for g in groups for path in g.scan_paths(self.context.out)]
        config = self.context.config.xas
        depends_on = {
            "pre-edge line": self.context.key_digests(scan_paths),
            "edge": edge,
            "xas": config.model_dump(mode="json"),
        }

        def find() -> bool:
            from rixs_pipeline.stages.sample.absorption_spectra import (
                is_pre_edge_linear,
            )

            energies = [self._usable_energies(group) for group in groups]
            return is_pre_edge_linear(Edge(edge), config, energies)

        return self.context.memo.get(depends_on, find, bool)

    def _usable_energies(self, group: SampleEdge) -> FloatArray:
        """Return the incident energies of the points that are used (point,), eV."""
        energies = []
        paths_of_scans = group.scan_paths(self.context.out)
        for scan, path in zip(group.scans, paths_of_scans, strict=True):
            unused: list[int] = []
            if self.context.has(path):
                depends_on = {"unused points": self.context.key_digest(path)}
                with suppress(InputError):  # in a dry run, before the scans are made
                    unused = self.context.memo.get(
                        depends_on, partial(_unused_points, path), list
                    )
            energy = scan.points.incident_energy
            is_used = ~np.isin(np.arange(len(energy)), unused)
            energies.append(energy[is_used])
        return np.concatenate(energies)

    def _has_readings(self, group: SampleEdge) -> bool:
        channels = self.context.config.xas.channels
        return any(
            channel in scan.readings for scan in group.scans for channel in channels
        )


def _unused_points(path: Path) -> list[int]:
    """Return the indices of the points of a scan that are not used."""
    status = np.array(nexus.read_values(path, "point_status"))
    return [int(index) for index in np.flatnonzero(status != POINT_USED)]
