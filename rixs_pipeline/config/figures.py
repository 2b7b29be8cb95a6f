"""Multi-panel figures."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rixs_pipeline.config.base import SINGLE_VALUE_ALLOWED, Limits
from rixs_pipeline.config.plots import MapOptions
from rixs_pipeline.types import Edge


class MultiPanelFigure(MapOptions):
    """One multi-panel figure, as in a paper; its looks are as in `plots`."""

    kind: Literal["xas", "maps", "cuts", "spectra", "overview"]
    samples: tuple[str, ...] = Field(min_length=1)
    edges: tuple[Edge, ...] = Field(min_length=1)
    channel: Annotated[tuple[str, ...], SINGLE_VALUE_ALLOWED] = Field(
        ("tey",),
        min_length=1,
        description="xas: reading or pfy; a list gives one row for each",
    )
    region: str | None = Field(
        None,
        description="maps, cuts, spectra: region to outline in the maps and to "
        "overlay, by name or by kind (pfy or spfy)",
    )
    emission: Limits | None = Field(
        None, description="emission energy range [low, high] of the maps, eV"
    )
    incident: tuple[float, ...] = Field(
        (), description="cuts: incident energies of the emission spectra, eV"
    )
    width: float = Field(
        0.5, gt=0, description="cuts: width of the band at each incident energy, eV"
    )
    compared: float | None = Field(
        None, description="cuts: incident energy at which the samples are overlaid, eV"
    )

    @model_validator(mode="after")
    def _check_incident_energies(self) -> Self:
        if self.kind != "cuts":
            return self
        if not self.incident:
            raise ValueError(
                "`kind: cuts` requires `incident`; set it to a list of energies in eV"
            )
        if self.compared is not None and self.compared not in self.incident:
            raise ValueError(
                "compared: must be one of the energies in `incident`, not "
                f"{self.compared}"
            )
        return self
