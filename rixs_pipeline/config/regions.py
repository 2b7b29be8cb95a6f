"""Regions of interest of a map, their backgrounds and corrections."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rixs_pipeline.config.base import SINGLE_VALUE_ALLOWED, Limits, Model, RegionName
from rixs_pipeline.types import Edge

RegionKind = Literal["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]


def _wrap_single_window(value: Any) -> Any:
    """Return [[low, high]] for [low, high]; other values unchanged."""
    is_list = isinstance(value, list | tuple)
    if is_list and all(isinstance(limit, int | float) for limit in value):
        return [value]
    return value


Windows = Annotated[tuple[Limits, ...], BeforeValidator(_wrap_single_window)]


class PreEdge(Model):
    """Background fitted before the edge and extended across it."""

    kind: Literal["constant", "linear"]
    incident: Limits | None = Field(
        None,
        description="[low, high] of the fit in incident energy, eV; default: that "
        "of the edge",
    )


class Sideband(Model):
    """Background from windows next to the region in emission energy."""

    kind: Literal["sideband"]
    emission: Windows = Field(
        min_length=1,
        max_length=2,
        description="window [low, high] for a constant background, or two windows for "
        "a straight line between them, eV",
    )


class Blank(Model):
    """Background measured in the same region on a sample without the substance."""

    kind: Literal["blank"]
    sample: str
    factor: float = Field(
        1.0, gt=0, description="factor that multiplies the intensity of the blank"
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
        description="share of a line in its tail; default: that of the used pixels "
        "in the reference runs",
    )
    tail_fraction_errors: float | None = Field(
        None,
        ge=0,
        description="standard deviation of tail_fraction; default: from the "
        "reference runs",
    )
    tail_length: float | None = Field(
        None,
        gt=0,
        description="decay length of the tail, eV; default: from the reference runs",
    )


Background = Annotated[PreEdge | Sideband | Blank | Leak, Field(discriminator="kind")]


class Piece(Model):
    """A part of a region: the bins within all limits that are given."""

    emission: Limits | None = Field(
        None, description="[low, high] of emission energy, eV"
    )
    incident: Limits | None = Field(
        None, description="[low, high] of incident energy, eV"
    )
    loss: Limits | None = Field(
        None, description="[low, high] of energy loss (incident - emission), eV"
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
        description="absorption by everything else at the incident energy, relative "
        "to that of the edge",
    )
    fluorescence: float = Field(
        ge=0,
        description="total absorption at the emission energy, relative to that of "
        "the edge",
    )
    post_edge: Limits | None = Field(
        None,
        description="[low, high] of incident energy after the edge, eV; default: "
        "that of the edge",
    )


class Region(Piece):
    """A region of interest of a map, and the spectrum extracted from it."""

    kind: RegionKind | None = None
    preset: Edge | None = Field(
        None, description="edge whose preset supplies the keys that are not given"
    )
    edge: Edge | None = Field(
        None, description="edge of the maps to which it applies; default: all maps"
    )
    pieces: tuple[Piece, ...] = Field(
        (),
        description="parts whose union is the region, within the limits of the region",
    )
    exclude_elastic: float | None = Field(
        None,
        gt=0,
        description="half width of the excluded band around the elastic line, eV",
    )
    background: Annotated[tuple[Background, ...] | None, SINGLE_VALUE_ALLOWED] = Field(
        None, description="one or more backgrounds to subtract"
    )
    scale: Literal["none", "max", "area", "edge"] | Limits = Field(
        "none",
        description="what the spectrum is divided by: none, max, area, edge, or the "
        "mean in a window [low, high] in eV",
    )
    pre_edge: Limits | None = Field(
        None, description="[low, high] before the edge for scale: edge, eV"
    )
    post_edge: Limits | None = Field(
        None, description="[low, high] after the edge for scale: edge, eV"
    )
    self_absorption: SelfAbsorption | None = None
    cuts: tuple[float | Limits, ...] = Field(
        (),
        description="xes: incident energies (nearest point) or bands [low, high], "
        "one spectrum each, eV",
    )
    axis: Literal["emission", "loss"] = Field(
        "emission", description="xes: axis, emission energy or energy loss"
    )
    features: dict[RegionName, Limits] = Field(
        {},
        description="windows [low, high] on the spectrum's axis, eV; area, centre of "
        "mass and width of each are reported",
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        """Refuse keys that this kind of region would ignore."""
        if self.kind is None and self.preset is None:
            raise ValueError(
                "kind: is missing; set it (pfy, spfy, ipfy, tfy, xes, elastic), or set "
                "preset to an edge"
            )
        if self.kind != "xes" and (self.cuts or self.axis != "emission"):
            raise ValueError("cuts and axis: loss require kind: xes")
        if self.self_absorption and self.kind not in ("pfy", "spfy", "tfy"):
            raise ValueError("self_absorption requires kind: pfy, spfy or tfy")
        if self.kind == "xes":
            self._check_emission_spectrum()
        return self

    def _check_emission_spectrum(self) -> None:
        """Refuse keys that only spectra against incident energy can use."""
        for background in self.background or ():
            if isinstance(background, PreEdge | Leak):
                raise ValueError(
                    f"background: kind: {background.kind} does not apply to emission "
                    "spectra; use sideband or blank"
                )
        if self.scale == "edge":
            raise ValueError(
                "scale: edge does not apply to emission spectra; use none, max, area "
                "or a window [low, high]"
            )
