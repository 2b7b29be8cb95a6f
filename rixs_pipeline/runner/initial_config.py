"""A commented config fitted to a beamtime."""

from pathlib import Path

from rixs_pipeline.config import template
from rixs_pipeline.io import discovery, inspection
from rixs_pipeline.stages.sample.configured_regions import select_regions


def initial_config(beamtime: Path) -> str:
    """Return the text of a config to start from.

    Raises
    ------
    InputError
        Not a beamtime directory.
    """
    contents = inspection.describe(discovery.discover(beamtime))
    edges = sorted({run["edge"] for run in contents["runs"] if run["edge"]})
    regions = {edge: select_regions(edge, None) for edge in edges}
    return template.initial_config(contents, regions)
