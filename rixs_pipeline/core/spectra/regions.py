"""Regions of interest: where they lie on a map, and what is made of them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.types import BoolArray, FloatArray


class Limits(NamedTuple):
    """Lower and upper limit, eV."""

    low: float
    high: float

    def contains(self, energy: FloatArray) -> BoolArray:
        """Mark the energies with low <= E < high."""
        return np.asarray((energy >= self.low) & (energy < self.high))


ELASTIC_LOSS = Limits(-3.0, 3.0)  # `loss` of an elastic region by default


class RegionKind(StrEnum):
    """Kinds of spectra."""

    PFY = "pfy"
    SPFY = "spfy"
    IPFY = "ipfy"
    TFY = "tfy"
    XES = "xes"
    ELASTIC = "elastic"


class Scale(StrEnum):
    """What a spectrum is divided by, apart from the mean over a window."""

    NONE = "none"
    MAX = "max"
    AREA = "area"
    EDGE = "edge"


class EmissionAxis(StrEnum):
    """What an emission spectrum is plotted against."""

    EMISSION = "emission"
    LOSS = "loss"


class PreEdgeShape(StrEnum):
    """How a background that is fitted before the edge goes on above it."""

    CONSTANT = "constant"
    LINEAR = "linear"


@dataclass(frozen=True)
class PreEdgeBackground:
    """Signal before the edge, extrapolated; `incident` eV: where it is fitted."""

    shape: PreEdgeShape
    incident: Limits | None = None

    @property
    def kind(self) -> str:
        """Name in the config."""
        return self.shape.value


@dataclass(frozen=True)
class SidebandBackground:
    """Counts in one or two windows of emission energy, eV, next to the region."""

    emission: tuple[Limits, ...]
    kind: str = "sideband"


@dataclass(frozen=True)
class BlankBackground:
    """The same region of a blank sample, times `factor`."""

    sample: str
    factor: float = 1.0
    kind: str = "blank"


@dataclass(frozen=True)
class LeakBackground:
    """Low-energy tails of lines above the region.

    The fraction of a line in its tail, its standard deviation, and the decay length
    in eV; None: as in the reference runs.
    """

    tail_fraction: float | None = None
    tail_fraction_errors: float | None = None
    tail_length: float | None = None
    kind: str = "leak"


@dataclass(frozen=True)
class ElasticBackground:
    """The elastic line, fitted to the map.

    `amplitude` along incident energy; `offset` of the line from the incident energy
    and resolution `fwhm`, eV, None: fitted, and as in the reference runs.
    """

    amplitude: AmplitudeKind = AmplitudeKind.SMOOTH
    offset: float | None = None
    fwhm: float | None = None
    kind: str = "elastic"


Background = (
    PreEdgeBackground
    | SidebandBackground
    | BlankBackground
    | LeakBackground
    | ElasticBackground
)


@dataclass(frozen=True)
class SelfAbsorption:
    """Absorptions that self-absorption depends on, relative to the element's own.

    `background`: of everything else, at the incident energy; `fluorescence`: of the
    whole sample, at the emission energy. The element's own absorption is 1 in the
    window `post_edge`, eV; None: the default of the edge.
    """

    background: float
    fluorescence: float
    post_edge: Limits | None = None


@dataclass(frozen=True)
class RegionPiece:
    """A part of a map. All limits hold at once; None does not limit. Energies in eV.

    `loss` is incident - emission energy; `polygon` are corners (incident, emission),
    filled by the even-odd rule.
    """

    emission: Limits | None = None
    incident: Limits | None = None
    loss: Limits | None = None
    polygon: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Region(RegionPiece):
    """A region of interest and what is made of it; energies in eV.

    Attributes
    ----------
    kind : RegionKind
        What is made of it.
    nearest_incident : float or None
        Take only the incident point nearest to this energy.
    pieces : tuple of RegionPiece
        The region is their union, within its own limits; empty: its own limits alone.
    exclude_elastic : float or None
        Half width of the band around the elastic line that is left out.
    accepts_elastic : bool
        Whether the user decided on the elastic line, by `loss` or `exclude_elastic`.
    background : tuple of Background
        Subtracted together.
    scale : Scale or Limits
        What the spectrum is divided by: with limits, its mean over that window.
    pre_edge, post_edge : Limits or None
        Windows for `Scale.EDGE`; None: the defaults of the edge.
    self_absorption : SelfAbsorption or None
        Undo the self-absorption of the yield.
    axis : EmissionAxis
        Of an emission spectrum.
    joined_bins : int
        Bins of the map that make up one bin of an emission spectrum.
    """

    kind: RegionKind
    nearest_incident: float | None = None
    pieces: tuple[RegionPiece, ...] = ()
    exclude_elastic: float | None = None
    accepts_elastic: bool = False
    background: tuple[Background, ...] = ()
    scale: Scale | Limits = Scale.NONE
    pre_edge: Limits | None = None
    post_edge: Limits | None = None
    self_absorption: SelfAbsorption | None = None
    axis: EmissionAxis = EmissionAxis.EMISSION
    joined_bins: int = 1

    @property
    def is_limited(self) -> bool:
        """Whether it is less than the map, apart from an excluded elastic line."""
        has_limits = self.emission or self.incident or self.loss or self.polygon
        return bool(has_limits or self.pieces) or self.nearest_incident is not None
