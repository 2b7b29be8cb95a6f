"""Extracts the spectra of every map, the absorption beside them."""

from __future__ import annotations

from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.stages.combine import groups
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.sample import absorption_spectra as xas
from rixs_pipeline.stages.sample import configured_regions
from rixs_pipeline.stages.sample import region_spectra as extract_stage
from rixs_pipeline.stages.sample.combine_scans import NOT_ADDED


def extract(work: Work) -> None:
    """Make the spectra of every map that are not fresh."""
    for sample, edge in groups(work):
        source, path = (
            paths.map_product(work.out, sample, edge),
            paths.spectra_product(work.out, sample, edge),
        )
        name = f"{path.stem} spectra"
        if source not in work.ledger.keys:
            continue
        with work.ledger.attempt(name, path):
            regions = configured_regions.select_regions(edge, work.config.regions)
            blanks = _blank_maps(work, edge, sample)
            science = {
                "regions": {n: r.model_dump(mode="json") for n, r in regions.items()}
            }
            science |= {
                "efficiency": work.config.normalise.efficiency
            } | work.config.science("geometry")
            inputs = {"map": provenance.config_hash(work.ledger.keys[source])}
            inputs |= {
                f"blank {n}": provenance.config_hash(work.ledger.keys[p])
                for n, p in blanks.items()
            }
            key = work.ledger.key(science, inputs)
            if work.ledger.wanted(name, path, key):
                rixs_map = products.read_entry(source)
                blank_maps = {n: products.read_entry(p) for n, p in blanks.items()}
                beside = extract_stage.beside(
                    work.config, work.reference, rixs_map, blank_maps
                )
                spectra, warnings = extract_stage.extract_spectra(
                    rixs_map, work.config.regions, path.stem, beside
                )
                if not spectra:
                    raise RunFailed(
                        f"{path.stem}: no region touches this map; see `regions` in the config"
                    )
                work.ledger.write(path, spectra, "intensity")
                work.summary.made(name, {"regions": list(spectra)}, warnings)


def _blank_maps(work: Work, edge: str, sample: str) -> dict[str, Path]:
    """The maps of the blank samples that regions of an edge subtract; what is not there is told by the region."""
    names = configured_regions.select_blank_samples(edge, work.config.regions)
    found = {
        name: paths.map_product(work.out, name, edge)
        for name in names
        if name != sample
    }
    return {name: path for name, path in found.items() if path in work.ledger.keys}


def absorption(work: Work) -> None:
    """TEY, TFY and XAS of every sample and edge whose scans have such readings."""
    asked = work.config.xas
    for (sample, edge), scans in groups(work).items():
        spectra, path = (
            paths.spectra_product(work.out, sample, edge),
            paths.xas_product(work.out, sample, edge),
        )
        if spectra not in work.ledger.keys or not any(
            c in s.readings for s in scans for c in asked.channels
        ):
            continue
        name = f"{path.stem} xas"
        with work.ledger.attempt(name, path):
            scan_paths = [paths.scan_product(work.out, s.name) for s in scans]
            inputs = {
                p.stem: provenance.config_hash(work.ledger.keys[p])
                for p in (*scan_paths, spectra)
            }
            key = work.ledger.key({"xas": asked.model_dump(mode="json")}, inputs)
            if work.ledger.wanted(name, path, key):
                pfys = [
                    s
                    for s in products.read_entries(spectra).values()
                    if s.attrs.get("kind") == RegionKind.PFY
                ]
                tables = (
                    "counts",
                    *NOT_ADDED,
                )  # large ones, of which no reading is taken
                done = [products.read_entry(p, without=tables) for p in scan_paths]
                found, warnings = xas.absorption_spectra(
                    done, next(iter(pfys), None), asked, path.stem
                )
                work.ledger.write(path, found, "intensity")
                work.summary.made(name, {"channels": list(found)}, warnings)
