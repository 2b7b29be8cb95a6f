"""Default windows and regions of every edge, for `preset: Co_L` in the config. All eV.

Sources:

- PROPOSAL: chosen by eye for oxide electrodes (sPFY of O K at 523-524) and for organic
  carbon and nitrogen; from no table.
- LINES: emission from 13 below La to 9 above Lb, lines of NIST SRD-128 (R. D. Deslattes
  et al., Rev. Mod. Phys. 75, 35 (2003)); of F K 13 below to 9 above Ka (676.8, W. T.
  Elam et al., Radiat. Phys. Chem. 63, 121 (2002)); the incident bands are proposals.
"""

from dataclasses import dataclass
from enum import StrEnum

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import ELASTIC_LOSS, Limits, Region, RegionKind
from rixs_pipeline.types import Edge

O_KA = Limits(510, 540)  # emission of O Ka


class PresetSource(StrEnum):
    """Where the numbers of a preset are from."""

    PROPOSAL = "proposal"
    LINES = "lines"


@dataclass(frozen=True)
class Preset:
    """Windows of one edge, eV.

    Attributes
    ----------
    emission : Limits
        Emission of the PFY.
    band_name : str
        Name of the band of incident energies for the emission spectrum.
    band : Limits
        That band.
    inverse : Limits or None
        Emission of a line that does not resonate, for the iPFY.
    edge : EdgeWindows
        Windows before and after the edge.
    source : PresetSource
        Where the numbers are from.
    super_partial : Limits or None
        Emission of the sPFY.
    """

    emission: Limits
    band_name: str
    band: Limits
    inverse: Limits | None
    edge: EdgeWindows
    source: PresetSource
    super_partial: Limits | None = None


def _l_edge(
    emission: Limits, band: Limits, inverse: Limits | None, source: PresetSource
) -> Preset:
    """Return the preset of an L edge, its white line in the middle of the band.

    The pre-edge window ends 4 eV below the white line, the post-edge window begins
    18 eV above it.
    """
    position = (band.low + band.high) / 2
    windows = EdgeWindows(
        pre_edge=Limits(position - 30, position - 4),
        post_edge=Limits(position + 18, position + 60),
        position=position,
    )
    return Preset(
        emission=emission,
        band_name="L3",
        band=band,
        inverse=inverse,
        edge=windows,
        source=source,
    )


PRESETS: dict[Edge, Preset] = {
    Edge.C_K: Preset(
        emission=Limits(265, 285),
        band_name="285",
        band=Limits(284.9, 285.9),
        inverse=None,
        edge=EdgeWindows(
            pre_edge=Limits(260, 283.5), post_edge=Limits(298, 330), position=290.0
        ),
        source=PresetSource.PROPOSAL,
    ),
    Edge.N_K: Preset(
        emission=Limits(380, 398),
        band_name="400",
        band=Limits(399, 402),
        inverse=None,
        edge=EdgeWindows(
            pre_edge=Limits(375, 396), post_edge=Limits(412, 440), position=403.0
        ),
        source=PresetSource.PROPOSAL,
    ),
    Edge.O_K: Preset(
        emission=Limits(515, 530),
        band_name="531",
        band=Limits(530.5, 531.5),
        inverse=None,
        edge=EdgeWindows(
            pre_edge=Limits(510, 527.5), post_edge=Limits(544, 580), position=535.0
        ),
        source=PresetSource.PROPOSAL,
        super_partial=Limits(523, 524),
    ),
    Edge.F_K: Preset(
        emission=Limits(664, 686),
        band_name="692",
        band=Limits(690, 694),
        inverse=None,
        edge=EdgeWindows(
            pre_edge=Limits(660, 684), post_edge=Limits(705, 740), position=692.0
        ),
        source=PresetSource.LINES,
    ),
    Edge.Ti_L: _l_edge(
        emission=Limits(439, 467),
        band=Limits(457.5, 461),
        inverse=None,
        source=PresetSource.LINES,
    ),
    Edge.V_L: _l_edge(
        emission=Limits(498, 528),
        band=Limits(516, 520),
        inverse=None,
        source=PresetSource.LINES,
    ),
    Edge.Cr_L: _l_edge(
        emission=Limits(560, 592),
        band=Limits(576, 580),
        inverse=O_KA,
        source=PresetSource.LINES,
    ),
    Edge.Mn_L: _l_edge(
        emission=Limits(625, 655),
        band=Limits(640, 643.5),
        inverse=Limits(510, 535),
        source=PresetSource.PROPOSAL,
    ),
    Edge.Fe_L: _l_edge(
        emission=Limits(690, 725),
        band=Limits(708, 710),
        inverse=O_KA,
        source=PresetSource.PROPOSAL,
    ),
    Edge.Co_L: _l_edge(
        emission=Limits(762, 800),
        band=Limits(780, 781),
        inverse=O_KA,
        source=PresetSource.PROPOSAL,
    ),
    Edge.Ni_L: _l_edge(
        emission=Limits(838, 880),
        band=Limits(852.5, 855.5),
        inverse=O_KA,
        source=PresetSource.PROPOSAL,
    ),
    Edge.Cu_L: _l_edge(
        emission=Limits(917, 959),
        band=Limits(930.5, 932),
        inverse=O_KA,
        source=PresetSource.LINES,
    ),
    Edge.Zn_L: _l_edge(
        emission=Limits(999, 1044),
        band=Limits(1023, 1027),
        inverse=O_KA,
        source=PresetSource.LINES,
    ),
}


def preset_regions(edge: Edge) -> dict[str, Region]:
    """Return the default regions of an edge by name, e.g. Co_PFY and Co_XES_L3."""
    preset = PRESETS[edge]
    kinds = {
        "PFY": RegionKind.PFY,
        "TFY": RegionKind.TFY,
        f"XES_{preset.band_name}": RegionKind.XES,
        "ELASTIC": RegionKind.ELASTIC,
    }
    if preset.super_partial:
        kinds["sPFY"] = RegionKind.SPFY
    if preset.inverse:
        kinds["iPFY"] = RegionKind.IPFY
    return {
        f"{edge.element}_{name}": preset_region(edge, kind)
        for name, kind in kinds.items()
    }


def preset_region(edge: Edge, kind: RegionKind) -> Region:
    """Return the default region of one kind at an edge.

    Parameters
    ----------
    edge : Edge
        The edge.
    kind : RegionKind
        Its sPFY is the PFY where the edge has no window of its own for it.

    Returns
    -------
    Region
        The PFY includes all emission of its window, the elastic line among it.
    """
    preset = PRESETS[edge]
    match kind:
        case RegionKind.PFY:
            return Region(kind=kind, emission=preset.emission, accepts_elastic=True)
        case RegionKind.SPFY:
            emission = preset.super_partial or preset.emission
            return Region(kind=kind, emission=emission)
        case RegionKind.IPFY:
            return Region(kind=kind, emission=preset.inverse)
        case RegionKind.XES:
            return Region(kind=kind, incident=preset.band)
        case RegionKind.ELASTIC:
            return Region(kind=kind, loss=ELASTIC_LOSS)
        case _:
            return Region(kind=kind)
