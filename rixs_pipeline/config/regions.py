"""Regions of interest of a map, their backgrounds and corrections."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rixs_pipeline.config.base import SINGLE_VALUE_ALLOWED, Limits, Model, RegionName
from rixs_pipeline.types import Edge

STEP_TOLERANCE = 1e-6  # relative: rounding of widths

RegionKind = Literal["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]


def _wrap_single_window(value: Any) -> Any:
    """Return [[low, high]] for [low, high]; other values unchanged."""
    is_list = isinstance(value, list | tuple)
    if is_list and all(isinstance(limit, int | float) for limit in value):
        return [value]
    return value


def count_joined_bins(step: float, bin_width: float) -> int:
    """Return how many bins of a map make up one bin of an emission spectrum.

    Parameters
    ----------
    step
        Width of the bins of the spectrum, eV.
    bin_width
        Width of the bins of the map, eV.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        No whole number.

    Notes
    -----
    Photons of a bin of the map could be shared out between two bins of the spectrum
    only by guessing where they are in it, which correlates neighbours.
    """
    ratio = step / bin_width
    n_bins = round(ratio)
    if n_bins and abs(ratio / n_bins - 1) < STEP_TOLERANCE:
        return n_bins
    fewer = max(int(ratio), 1)
    raise ValueError(
        f"step: {step:g} eV is no multiple of the map's bins of {bin_width:g} eV; use "
        f"{fewer * bin_width:g} or {(fewer + 1) * bin_width:g} eV, or change `map.step`"
    )


Windows = Annotated[tuple[Limits, ...], BeforeValidator(_wrap_single_window)]


class PreEdge(Model):
    """Background fitted before the edge and extended across it."""

    kind: Literal["constant", "linear"]
    incident: Limits | None = Field(
        None,
        description="fit range [low, high] in incident energy, eV; default: the "
        "pre-edge range of the edge",
    )


class Sideband(Model):
    """Background from windows next to the region in emission energy."""

    kind: Literal["sideband"]
    emission: Windows = Field(
        min_length=1,
        max_length=2,
        description="one window [low, high] for a constant background, or two "
        "windows for a straight line between them, eV",
    )


class Blank(Model):
    """Background measured in the same region on a sample without the substance."""

    kind: Literal["blank"]
    sample: str
    factor: float = Field(
        1.0,
        gt=0,
        description="factor by which the intensity of the blank is multiplied",
    )


class Leak(Model):
    """Background from the low-energy tails of lines above the region.

    The elastic line is one of them.
    """

    kind: Literal["leak"]
    tail_fraction: float | None = Field(
        None,
        gt=0,
        lt=0.5,
        description="fraction of the intensity of a line in its tail; default: "
        "the value of the pixels used, from the reference runs",
    )
    tail_fraction_errors: float | None = Field(
        None,
        ge=0,
        description="standard deviation of `tail_fraction`; default: from the "
        "reference runs",
    )
    tail_length: float | None = Field(
        None,
        gt=0,
        description="decay length of the tail, eV; default: from the reference runs",
    )


class Elastic(Model):
    """Background of elastic light, fitted to the whole map."""

    kind: Literal["elastic"]
    amplitude: Literal["smooth", "free"] = Field(
        "smooth",
        description="amplitude of the elastic line against incident energy: smooth "
        "(shared by all points; a resonance at the edge is part of the error) or free "
        "(from the counts of each point)",
    )
    offset: float | None = Field(
        None,
        ge=-20,
        le=20,
        description="emission - incident energy of the elastic line, eV; default: "
        "fitted",
    )
    fwhm: float | None = Field(
        None,
        gt=0.2,
        lt=20,
        description="resolution to start from, eV; default: from the reference runs",
    )


Background = Annotated[
    PreEdge | Sideband | Blank | Leak | Elastic, Field(discriminator="kind")
]


class Piece(Model):
    """A part of a region: the bins within all limits that are given."""

    emission: Limits | None = Field(
        None, description="emission energy range [low, high], eV"
    )
    incident: Limits | None = Field(
        None, description="incident energy range [low, high], eV"
    )
    loss: Limits | None = Field(
        None,
        description="energy loss range [low, high] (loss = incident - emission), eV",
    )
    polygon: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=3, description="corners [incident, emission], eV"
    )


class SelfAbsorption(Model):
    """Correction of a thick sample's yield for self-absorption.

    Absorption coefficients are relative to that of the element's own edge, after it.
    """

    background: float = Field(
        gt=0,
        description="absorption at the incident energy by other elements and "
        "shells, relative to the edge jump",
    )
    fluorescence: float = Field(
        ge=0,
        description="total absorption at the emission energy, relative to the "
        "edge jump",
    )
    post_edge: Limits | None = Field(
        None,
        description="post-edge range [low, high] of incident energy, eV; default: "
        "the post-edge range of the edge",
    )


class Region(Piece):
    """A region of interest of a map, and the spectrum extracted from it."""

    kind: RegionKind | None = None
    preset: Edge | None = Field(
        None, description="edge whose preset supplies the keys that are not set"
    )
    edge: Edge | None = Field(
        None,
        description="edge of the maps to which the region applies; default: all maps",
    )
    pieces: tuple[Piece, ...] = Field(
        (),
        description="parts that together make up the region; each is clipped to "
        "the limits of the region",
    )
    exclude_elastic: float | None = Field(
        None,
        gt=0,
        description="half-width of the excluded band around the elastic line, eV",
    )
    background: Annotated[tuple[Background, ...] | None, SINGLE_VALUE_ALLOWED] = Field(
        None, description="one or more backgrounds to subtract"
    )
    scale: Literal["none", "max", "area", "edge"] | Limits = Field(
        "none",
        description="divisor of the spectrum: none, max (maximum), area, edge "
        "(edge jump), or the mean in a window [low, high], eV",
    )
    pre_edge: Limits | None = Field(
        None, description="pre-edge range [low, high], eV; used with `scale: edge`"
    )
    post_edge: Limits | None = Field(
        None, description="post-edge range [low, high], eV; used with `scale: edge`"
    )
    self_absorption: SelfAbsorption | None = None
    cuts: tuple[float | Limits, ...] = Field(
        (),
        description="xes: incident energies (the nearest point is used) or bands "
        "[low, high], eV; one spectrum for each",
    )
    axis: Literal["emission", "loss"] = Field(
        "emission",
        description="xes: axis of the spectrum, emission (emission energy) or "
        "loss (energy loss)",
    )
    step: float | None = Field(
        None,
        gt=0,
        description="xes: width of the bins of the spectrum, eV, a multiple of "
        "`map.step`; default: the bins of the map",
    )
    features: dict[RegionName, Limits] = Field(
        {},
        description="feature name -> window [low, high] on the spectrum's axis, "
        "eV; area, centre of mass and width of each feature are reported",
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        """Refuse keys that this kind of region would ignore."""
        if self.kind is None and self.preset is None:
            raise ValueError(
                "kind: is missing; set it to pfy, spfy, ipfy, tfy, xes or "
                "elastic, or set `preset` to an edge"
            )
        if self.kind != "xes" and (self.cuts or self.axis != "emission"):
            raise ValueError("`cuts` and `axis: loss` require `kind: xes`")
        if self.kind != "xes" and self.step is not None:
            raise ValueError("`step` requires `kind: xes`")
        if self.self_absorption and self.kind not in ("pfy", "spfy", "tfy"):
            raise ValueError(
                "`self_absorption` requires `kind: pfy`, `kind: spfy` or `kind: tfy`"
            )
        if self.kind == "xes":
            self._check_emission_spectrum()
        self._check_elastic_background()
        return self

    def check_step(self, map_emission: tuple[float, float]) -> None:
        """Refuse a `step` wider than what the spectrum covers.

        Parameters
        ----------
        map_emission
            Emission energies of the maps, eV.

        Raises
        ------
        ValueError
            Not even one whole bin of the spectrum is within the region.
        """
        if self.step is None:
            return
        key = "loss" if self.axis == "loss" else "emission"
        limits = [getattr(piece, key) for piece in self.pieces]
        if not limits or None in limits:
            limits = [getattr(self, key) or map_emission]
        width = max(high for _, high in limits) - min(low for low, _ in limits)
        if self.step > width * (1 + STEP_TOLERANCE):
            raise ValueError(
                f"step: {self.step:g} eV is wider than the {key} range of the region, "
                f"{width:g} eV; decrease it"
            )

    def _check_elastic_background(self) -> None:
        """Refuse to subtract the elastic line twice, or from itself."""
        kinds = [background.kind for background in self.background or ()]
        if "elastic" not in kinds:
            return
        if kinds.count("elastic") > 1 or "leak" in kinds:
            raise ValueError(
                "background: `kind: elastic` includes the tail of the elastic line; "
                "list it once, and without `kind: leak`"
            )
        if self.kind == "elastic":
            raise ValueError(
                "background: `kind: elastic` would subtract an elastic region from "
                "itself; use another kind of region"
            )

    def _check_emission_spectrum(self) -> None:
        """Refuse keys that only spectra against incident energy can use."""
        for background in self.background or ():
            if isinstance(background, PreEdge | Leak):
                raise ValueError(
                    f"background: `kind: {background.kind}` does not apply to emission "
                    "spectra (`kind: xes`); use sideband or blank"
                )
        if self.scale == "edge":
            raise ValueError(
                "scale: `edge` does not apply to emission spectra (`kind: "
                "xes`); use none, max, area or a window [low, high]"
            )
