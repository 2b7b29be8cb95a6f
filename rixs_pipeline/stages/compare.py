"""Compare: the spectra of samples are tested against each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Comparison
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.stages.measurement import assign_measurement
from rixs_pipeline.stages.sample.configured_regions import is_requested, select_regions
from rixs_pipeline.stages.stage import Content, Product, Stage, dataset_writer
from rixs_pipeline.types import Edge


@dataclass(frozen=True)
class EdgeComparison:
    """A comparison of the config at one edge; the first sample is the reference."""

    config: Comparison
    edge: Edge
    samples: tuple[str, ...]


class Compare(Stage[EdgeComparison]):
    """One comparison at one edge, one entry a region."""

    verb = "compare"

    def products(self) -> list[Product[EdgeComparison]]:
        """Return every comparison of the config at every edge that it concerns."""
        out = self.context.out
        groups = [
            group
            for group in self.context.sample_edges()
            if self.context.has(group.spectra_path(out))
        ]
        edges = dict.fromkeys(group.edge for group in groups)
        products = []
        for name, config in self.context.config.compare.items():
            for edge in edges:
                measured = {group.sample for group in groups if group.edge == edge}
                samples = tuple(s for s in config.samples if s in measured)
                if len(samples) > 1 and self._is_concerned(config, edge):
                    path = paths.comparison_product(out, name, edge)
                    source = EdgeComparison(config, edge, samples)
                    products.append(Product(f"compare {path.stem}", path, source))
        return products

    def options(self, product: Product[EdgeComparison]) -> Mapping[str, Any]:
        """Return the comparison's section and the samples that were measured."""
        comparison = product.source
        return {
            "compare": comparison.config.model_dump(mode="json"),
            "samples": list(comparison.samples),
            **self.context.config.science("experiment"),
        }

    def inputs(self, product: Product[EdgeComparison]) -> Mapping[str, str]:
        """Return the digests of the samples' spectra."""
        out, comparison = self.context.out, product.source
        spectra = [
            paths.spectra_product(out, sample, comparison.edge)
            for sample in comparison.samples
        ]
        return {path.stem: self.context.key_digest(path) for path in spectra}

    def compute_product(self, product: Product[EdgeComparison]) -> Content:
        """Test every sample against the first one, region by region."""
        from rixs_pipeline.stages.sample import compare_samples

        out, comparison = self.context.out, product.source
        edge, name = comparison.edge, product.path.stem
        sources = {
            sample: compare_samples.SampleProducts(
                nexus.read_entry(paths.map_product(out, sample, edge)),
                nexus.read_entries(paths.spectra_product(out, sample, edge)),
            )
            for sample in comparison.samples
        }
        regions = select_regions(edge, self.context.config.regions)
        compared = compare_samples.compare_samples(sources, comparison.config, regions)
        if not compared.by_region:
            reasons = "; ".join(compared.refusals)
            reasons = reasons or "the samples have none of its regions in common"
            raise RunFailed(f"{name}: no region can be compared: {reasons}")
        scans = [
            scan
            for group in self.context.sample_edges()
            if group.edge == edge and group.sample in comparison.samples
            for scan in group.scans
        ]
        experiment = self.context.config.experiment
        assign_measurement(compared.by_region.values(), scans, experiment)
        warnings = [f"{name}: {reason}" for reason in compared.refusals]
        write = dataset_writer(compared.by_region, "difference")
        return Content(write, {"results": compared.results}, warnings)

    def _is_concerned(self, comparison: Comparison, edge: Edge) -> bool:
        """Whether the comparison has a region at the edge."""
        scans = [scan for scan in self.context.scans if scan.edge == edge]
        energies = np.concatenate([scan.points.incident_energy for scan in scans])
        limits = float(np.nanmin(energies)), float(np.nanmax(energies))
        regions = select_regions(edge, self.context.config.regions)
        return is_requested(comparison, regions, limits)
