"""Default windows and regions of the edges."""

from rixs_pipeline.core.spectra.presets import preset_regions
from rixs_pipeline.types import Edge


def test_presets_are_unique_and_begin_with_their_element() -> None:
    names: list[str] = []
    for edge in Edge:
        regions = preset_regions(edge)
        element = edge.element
        assert all(name.startswith(f"{element}_") for name in regions)
        assert {f"{element}_PFY", f"{element}_TFY", f"{element}_ELASTIC"} <= set(
            regions
        )
        names += regions
    assert len(names) == len(set(names))


def test_presets_of_the_paper() -> None:
    assert preset_regions(Edge.O_K)["O_sPFY"].emission == (523, 524)
    assert preset_regions(Edge.O_K)["O_XES_531"].incident == (530.5, 531.5)
    cobalt = preset_regions(Edge.Co_L)
    assert cobalt["Co_PFY"].emission == (762, 800)
    assert (cobalt["Co_iPFY"].emission, cobalt["Co_XES_L3"].incident) == (
        (510, 540),
        (780, 781),
    )


def test_a_preset_integrates_its_whole_window() -> None:
    for edge in Edge:
        region = preset_regions(edge)[f"{edge.element}_PFY"]
        assert region.exclude_elastic is None
        assert region.accepts_elastic
