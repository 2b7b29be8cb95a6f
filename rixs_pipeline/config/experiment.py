"""Where, by whom and under which terms data were taken: what no log records."""

from typing import Annotated

from pydantic import Field

from rixs_pipeline.config.base import SINGLE_VALUE_ALLOWED, Model


class ExperimentConfig(Model):
    """Metadata for products and exported files; they change no number."""

    facility: str | None = Field(None, description="facility, such as SSRL")
    beamline: str | None = Field(None, description="beamline, such as 10-1")
    monochromator: str | None = Field(
        None, description="monochromator, such as SGM 1000 lines/mm"
    )
    proposal: str | None = Field(None, description="number of the proposal")
    beamtime: str | None = Field(
        None, description="number of the beamtime; default: that of the logs"
    )
    users: Annotated[tuple[str, ...], SINGLE_VALUE_ALLOWED] = Field(
        (), description="names of the users"
    )
    doi: str | None = Field(None, description="DOI of the data")
    licence: str | None = Field(None, description="licence, such as CC-BY-4.0")

    def known(self) -> dict[str, str | list[str]]:
        """Return what is given, as plain JSON values."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if value}
