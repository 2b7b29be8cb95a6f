"""The windows of every edge: where to look when the config says no more than `preset: Co_L`. All eV.

Sources:
- proposal: chosen by eye for oxide electrodes (sPFY of O K at 523-524) and organic carbon and nitrogen; no table.
- lines: emission La - 13 to Lb + 9 around the lines of NIST SRD-128 (R. D. Deslattes et al., Rev. Mod. Phys. 75, 35
  (2003)); incident bands are proposals.
"""

from dataclasses import dataclass

from rixs_pipeline.core.spectra.normalisation import EdgeWindows, Limits
from rixs_pipeline.types import Edge

PROPOSAL, LINES = "proposal", "lines"
O_KA: Limits = (510, 540)


@dataclass(frozen=True)
class Preset:
    """Windows of one edge: `emission` of PFY, `band` of incident energies for XES and its name, the emission of a
    line that does not resonate, the lines before and after the edge, and where the numbers are from."""

    emission: Limits
    band_name: str
    band: Limits
    inverse: Limits | None
    edge: EdgeWindows
    source: str
    super_partial: Limits | None = None


def _lines(
    emission: Limits, band: Limits, inverse: Limits | None, source: str = LINES
) -> Preset:
    """An L edge: the line before it ends 4 eV below the white line; the one after begins 18 eV above it."""
    position = (band[0] + band[1]) / 2
    windows = EdgeWindows(
        (position - 30, position - 4), (position + 18, position + 60), position
    )
    return Preset(emission, "L3", band, inverse, windows, source)


PRESETS: dict[Edge, Preset] = {
    Edge.C_K: Preset(
        (265, 285),
        "285",
        (284.9, 285.9),
        None,
        EdgeWindows((260, 283.5), (298, 330), 290.0),
        PROPOSAL,
    ),
    Edge.N_K: Preset(
        (380, 398),
        "400",
        (399, 402),
        None,
        EdgeWindows((375, 396), (412, 440), 403.0),
        PROPOSAL,
    ),
    Edge.O_K: Preset(
        (515, 530),
        "531",
        (530.5, 531.5),
        None,
        EdgeWindows((510, 527.5), (544, 580), 535.0),
        PROPOSAL,
        (523, 524),
    ),
    Edge.Ti_L: _lines((439, 467), (457.5, 461), None),
    Edge.V_L: _lines((498, 528), (516, 520), None),
    Edge.Cr_L: _lines((560, 592), (576, 580), O_KA),
    Edge.Mn_L: _lines((625, 655), (640, 643.5), (510, 535), PROPOSAL),
    Edge.Fe_L: _lines((690, 725), (708, 710), O_KA, PROPOSAL),
    Edge.Co_L: _lines((762, 800), (780, 781), O_KA, PROPOSAL),
    Edge.Ni_L: _lines((838, 880), (852.5, 855.5), O_KA, PROPOSAL),
    Edge.Cu_L: _lines((917, 959), (930.5, 932), O_KA),
    Edge.Zn_L: _lines((999, 1044), (1023, 1027), O_KA),
}
