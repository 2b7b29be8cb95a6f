"""Combine: the scans of a sample and edge become one map."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixs_pipeline.config import Config
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.beamtime.build_runs import possible_edges
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext, SampleEdge
from rixs_pipeline.stages.corrections import map_corrections
from rixs_pipeline.stages.flux.beamtime_flux import (
    BeamtimeFlux,
    BeamtimeVerdict,
    sample_loss,
)
from rixs_pipeline.stages.measurement import assign_measurement
from rixs_pipeline.stages.sample.pass_maps import PassMaps
from rixs_pipeline.stages.stage import Content, Product, StageOfTasks, dataset_writer


def describe_unknown_edge(scan: Run) -> str:
    """Return the warning about a scan whose edge is not known."""
    possible = possible_edges(scan.points.incident_energy)
    names = f" ({' or '.join(possible)})" if possible else ""
    return (
        f"{scan.name}: edge unknown{names}; not included in any map; "
        f"set `beamtime.scans.{scan.number}.edge`"
    )


def describe_same_files(first: str, second: str) -> str:
    """Return the line about two samples whose products have the same names."""
    return (
        f"samples '{first}' and '{second}' have the same file names; rename one in "
        "`beamtime.samples`"
    )


@dataclass(frozen=True)
class CombineTask:
    """The passes of a sample and edge, which become one map."""

    name: str
    group: SampleEdge
    pass_maps: PassMaps
    passes: Mapping[Path, str]
    verdict: BeamtimeVerdict
    config: Config

    def __call__(self) -> Content:
        """Test the passes against each other and add them."""
        from rixs_pipeline.stages.flux.compare_passes import compare_pass_flux
        from rixs_pipeline.stages.flux.compare_readings import (
            compare_readings,
            scale_readings,
        )
        from rixs_pipeline.stages.sample import combine_scans, map_limits, passes

        name, group, config = self.name, self.group, self.config
        normalise = config.normalise
        flux = compare_pass_flux(
            self.pass_maps.read(self.passes, with_counts=True),
            normalise,
            config.xas.channels,
            name,
            self.verdict.usual,
        )
        if not flux.scans:
            raise RunFailed(" / ".join(flux.losses))
        scaled = scale_readings(flux.scans, config.xas)
        readings = compare_readings(scaled, config.xas, name)
        tested = passes.examine_passes(readings.scans, config.passes, name)
        combined = combine_scans.combine_scans(
            tested.scans, config.map, name, normalise
        )
        rixs_map = combined.dataset.assign_attrs(passes=tested.facts)
        assign_measurement([rixs_map], group.scans, config.experiment)
        if flux.left_out:
            rixs_map.attrs["left_out"] = dict(flux.left_out)
        if flux.points_left_out:
            rixs_map.attrs["points_left_out"] = dict(flux.points_left_out)
        if readings.left_out:
            rixs_map.attrs["readings_left_out"] = dict(readings.left_out)
        facts = {
            "scans": [scan.name for scan in group.scans],
            "photons": int(rixs_map["counts"].values.sum()),
            "passes": tested.facts,
            "results": tested.results,
        }
        warnings = [
            *flux.warnings,
            *readings.warnings,
            *tested.warnings,
            *combined.warnings,
        ]
        losses = [
            *flux.losses,
            *sample_loss(name, group, self.verdict),
            *map_limits.photons_outside(rixs_map, config.map, name),
        ]
        write = dataset_writer({"entry": rixs_map}, "intensity")
        corrections = map_corrections(rixs_map, name)
        return Content(write, facts, warnings, losses, corrections)


class Combine(StageOfTasks[SampleEdge]):
    """One map a sample and edge."""

    verb = "combine"

    def __init__(self, context: RunContext) -> None:
        super().__init__(context)
        self.flux = BeamtimeFlux(context)

    def products(self) -> list[Product[SampleEdge]]:
        """Return a map for every sample and edge that has scans."""
        context = self.context
        for scan in context.scans:
            if scan.edge is None:
                context.warn(describe_unknown_edge(scan))
        owners = {
            group.map_path(context.out): group for group in context.sample_edges()
        }
        products = []
        for group in context.scan_groups():
            path = group.map_path(context.out)
            owner = owners[path]
            if owner == group:
                products.append(Product(path.stem, path, group))
            else:
                problem = RunFailed(describe_same_files(owner.sample, group.sample))
                name = f"{group.sample}-{group.edge}"
                products.append(Product(name, path, group, problem))
        return products

    def options(self, product: Product[SampleEdge]) -> Mapping[str, Any]:
        """Return how incident points are binned, offsets applied, and passes tested."""
        config = self.context.config
        return {
            "incident": [config.map.incident, config.map.incident_step],
            "elastic_offset": config.map.elastic_offset,
            "i0_noise": config.normalise.i0_noise,
            "channels": config.xas.channels,
            "channel_scale": config.xas.model_dump(
                mode="json", include={"channel_scale"}
            ),
            "passes": config.passes.model_dump(mode="json"),
            **config.science("experiment"),
        }

    def inputs(self, product: Product[SampleEdge]) -> Mapping[str, str]:
        """Return digests of the keys of all scans, and of what others say of I0."""
        scan_paths = product.source.scan_paths(self.context.out)
        verdict = self.flux.verdict(product.source)
        scans = {path.stem: self.context.key_digest(path) for path in scan_paths}
        return scans | {"I0 of other scans": self.context.digest(verdict.as_json())}

    def task(self, product: Product[SampleEdge]) -> CombineTask:
        """Return the passes of a sample and edge, and what others say of their I0."""
        group = product.source
        return CombineTask(
            product.name,
            group,
            self.context.pass_maps,
            self.context.file_digests(group.scan_paths(self.context.out)),
            self.flux.verdict(group),
            self.context.config,
        )
