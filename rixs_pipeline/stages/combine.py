"""Co-adds the scans of every sample and edge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rixs_pipeline import paths
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.sample import combine_scans as combine_stage
from rixs_pipeline.stages.sample import passes

if TYPE_CHECKING:
    import xarray as xr


def groups(work: Work) -> dict[tuple[str, str], list[Run]]:
    """Scans of every sample and edge whose product is there."""
    found: dict[tuple[str, str], list[Run]] = {}
    for one in work.scans:
        if (
            one.edge is not None
            and paths.scan_product(work.out, one.name) in work.ledger.keys
        ):
            found.setdefault((one.sample, one.edge), []).append(one)
    owners: dict[Path, str] = {}
    for sample, edge in list(found):
        owner = owners.setdefault(paths.map_product(work.out, sample, edge), sample)
        if owner != sample:
            del found[sample, edge]
            clash = f"samples '{owner}' and '{sample}' would share their files; rename one in beamtime.samples"
            work.summary.fail(f"{sample}-{edge}", clash)
    return found


def combine(work: Work) -> None:
    """Make every map that is not fresh."""
    for one in work.scans:
        if one.edge is None:
            work.summary.warn(
                f"{one.name}: its edge is not known: not part of a map; set beamtime.scans.{one.number}.edge"
            )
    for (sample, edge), scans in groups(work).items():
        path = paths.map_product(work.out, sample, edge)
        name = path.stem
        with work.ledger.attempt(name, path):
            scan_paths = [paths.scan_product(work.out, s.name) for s in scans]
            bins = work.config.map
            science: dict[str, Any] = {"incident": [bins.incident, bins.incident_step]}
            science |= {
                "elastic_offset": bins.elastic_offset,
                "i0_noise": work.config.normalise.i0_noise,
            }
            science |= {"passes": work.config.passes.model_dump(mode="json")}
            key = work.ledger.key(
                science,
                {
                    "scans": provenance.config_hash(
                        {"keys": [work.ledger.keys[p] for p in scan_paths]}
                    )
                },
            )
            if work.ledger.wanted(name, path, key):
                dataset, facts, warnings = _combined(work, scan_paths, name)
                work.ledger.write(path, {"entry": dataset}, "intensity")
                work.summary.made(
                    name, {"scans": [s.name for s in scans]} | facts, warnings
                )


def _combined(
    work: Work, scan_paths: Sequence[Path], name: str
) -> tuple[xr.Dataset, dict[str, Any], list[str]]:
    """A map, what is told of its passes, and warnings; the passes themselves are held no longer."""
    done = [products.read_entry(p, without=combine_stage.NOT_ADDED) for p in scan_paths]
    examined = passes.examine_passes(done, work.config.passes, name)
    combined = combine_stage.combine_scans(
        examined.scans, work.config.map, name, work.config.normalise
    )
    facts = {"passes": examined.facts, "results": examined.results}
    return (
        combined.dataset.assign_attrs(passes=examined.facts),
        facts,
        examined.warnings + combined.warnings,
    )
