"""Regions for tests, written as in a config."""

from rixs_pipeline import config
from rixs_pipeline.core.spectra.regions import Region
from rixs_pipeline.stages.sample.configured_regions import core_region


def make_region(**mapping: object) -> Region:
    """Return the region that a config's mapping means; by default a PFY."""
    return core_region(config.Region.model_validate({"kind": "pfy"} | mapping))
