"""Extract: the regions of a map become spectra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ReferenceSet
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import SampleEdge
from rixs_pipeline.stages.corrections import spectrum_corrections
from rixs_pipeline.stages.measurement import assign_measurement
from rixs_pipeline.stages.sample import configured_regions
from rixs_pipeline.stages.stage import Content, Product, StageOfTasks, dataset_writer


@dataclass(frozen=True)
class ExtractTask:
    """A map, from which the spectra of all regions are extracted."""

    name: str
    scans: Sequence[Run]
    map_path: Path
    blank_maps: Mapping[str, Path]
    config: Config
    reference_set: ReferenceSet

    def __call__(self) -> Content:
        """Extract the spectra of all regions."""
        from rixs_pipeline.stages.sample import region_spectra
        from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs

        name, config = self.name, self.config
        rixs_map = nexus.read_entry(self.map_path)
        blanks = {
            sample: nexus.read_entry(path) for sample, path in self.blank_maps.items()
        }
        inputs = SpectrumInputs.from_config(
            config, self.reference_set, rixs_map, blanks
        )
        spectra = region_spectra.extract_spectra(rixs_map, config.regions, name, inputs)
        if not spectra.by_region:
            raise RunFailed(
                f"{name}: no region overlaps this map; check `regions` in the config"
            )
        assign_measurement(spectra.by_region.values(), self.scans, config.experiment)
        facts = {"regions": list(spectra.by_region)}
        write = dataset_writer(spectra.by_region, "intensity")
        corrections = spectrum_corrections(spectra.by_region, name)
        return Content(write, facts, spectra.warnings, corrections=corrections)


class Extract(StageOfTasks[SampleEdge]):
    """The spectra of one map, one entry a region."""

    verb = "extract"

    def products(self) -> list[Product[SampleEdge]]:
        """Return the spectra of every map."""
        out = self.context.out
        products = []
        for group in self.context.sample_edges():
            path = group.spectra_path(out)
            if self.context.has(group.map_path(out)):
                products.append(Product(f"{path.stem} spectra", path, group))
        return products

    def options(self, product: Product[SampleEdge]) -> Mapping[str, Any]:
        """Return the regions of the edge, the detection efficiency and the geometry."""
        config = self.context.config
        regions = configured_regions.select_regions(product.source.edge, config.regions)
        return {
            "regions": {
                name: region.model_dump(mode="json") for name, region in regions.items()
            },
            "efficiency": config.normalise.efficiency,
            **config.science("geometry", "experiment"),
        }

    def inputs(self, product: Product[SampleEdge]) -> Mapping[str, str]:
        """Return the digests of the map and of the blank maps that are subtracted."""
        map_path = product.source.map_path(self.context.out)
        blanks = {
            f"blank {sample}": self.context.key_digest(path)
            for sample, path in self._blank_maps(product.source).items()
        }
        return {"map": self.context.key_digest(map_path), **blanks}

    def task(self, product: Product[SampleEdge]) -> ExtractTask:
        """Return the map, and the blank maps that are subtracted."""
        context, group = self.context, product.source
        return ExtractTask(
            product.path.stem,
            group.scans,
            group.map_path(context.out),
            self._blank_maps(group),
            context.config,
            context.reference_set,
        )

    def _blank_maps(self, group: SampleEdge) -> dict[str, Path]:
        """Return the blank maps by sample; regions report those that are missing."""
        samples = configured_regions.select_blank_samples(
            group.edge, self.context.config.regions
        )
        blanks = {
            sample: paths.map_product(self.context.out, sample, group.edge)
            for sample in samples
            if sample != group.sample
        }
        return {
            sample: path for sample, path in blanks.items() if self.context.has(path)
        }
