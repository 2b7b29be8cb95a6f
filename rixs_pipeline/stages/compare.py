"""Compares samples at every edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config.models import Comparison
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.stages.combine import groups
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.sample import compare_samples as compare_stage
from rixs_pipeline.stages.sample.configured_regions import select_regions


def compare(work: Work) -> None:
    """Make every comparison that is not fresh."""
    for name, asked in work.config.compare.items():
        done = [
            g
            for g in groups(work)
            if paths.spectra_product(work.out, *g) in work.ledger.keys
        ]
        for edge in dict.fromkeys(edge for _, edge in done):
            samples = [sample for sample in asked.samples if (sample, edge) in done]
            if len(samples) > 1 and _is_compared(work, asked, edge):
                _compare_at(work, name, edge, samples)


def _is_compared(work: Work, asked: Comparison, edge: str) -> bool:
    """Whether a comparison has anything to do at an edge."""
    energy = np.concatenate(
        [one.points.incident_energy for one in work.scans if one.edge == edge]
    )
    limits = float(np.nanmin(energy)), float(np.nanmax(energy))
    return compare_stage.is_requested(
        asked, select_regions(edge, work.config.regions), limits
    )


def _compare_at(work: Work, name: str, edge: str, samples: Sequence[str]) -> None:
    """Samples at one edge, each against the first."""
    asked, path = (
        work.config.compare[name],
        paths.comparison_product(work.out, name, edge),
    )
    told = f"compare {path.stem}"
    maps = [paths.map_product(work.out, sample, edge) for sample in samples]
    spectra = [paths.spectra_product(work.out, sample, edge) for sample in samples]
    with work.ledger.attempt(told, path):
        regions = select_regions(edge, work.config.regions)
        science = {"compare": asked.model_dump(mode="json"), "samples": list(samples)}
        inputs = {p.stem: provenance.config_hash(work.ledger.keys[p]) for p in spectra}
        if not work.ledger.wanted(told, path, work.ledger.key(science, inputs)):
            return
        sources = {
            sample: compare_stage.SampleProducts(
                products.read_entry(rixs_map), products.read_entries(found)
            )
            for sample, rixs_map, found in zip(samples, maps, spectra, strict=True)
        }
        compared = compare_stage.compare_samples(sources, asked, regions)
        if not compared.by_region:
            reasons = (
                "; ".join(compared.refusals) or "the samples share none of its regions"
            )
            raise RunFailed(f"{path.stem}: nothing is compared: {reasons}")
        work.ledger.write(path, compared.by_region, "difference")
        work.summary.made(
            told,
            {"results": compared.results},
            [f"{path.stem}: {line}" for line in compared.refusals],
        )
