"""A region and its map in the terms of core."""

from rixs_pipeline.config import Region
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs, region_on_map
from tests.stages.sample.test_region_spectra import rixs_map


def test_a_pfy_has_no_line() -> None:
    configured = Region.model_validate({"kind": "pfy", "emission": [775, 785]})
    on_map = region_on_map(rixs_map(), configured, SpectrumInputs())
    assert on_map.region.kind is RegionKind.PFY
    assert on_map.region.emission == (775, 785)
    assert (on_map.line, on_map.line_test) == (None, None)
