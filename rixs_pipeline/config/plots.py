"""How figures look: formats, size, texts, colours and limits.

What is not set (None) is taken from `plots.defaults`, and then from the figure itself.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from rixs_pipeline.config.base import SINGLE_VALUE_ALLOWED, EnergyLimits, Limits, Model

FigureFormat = Literal["png", "pdf", "svg"]
# inches: columns of a journal of the American Physical Society, 8.6 and 17.8 cm
COLUMN_WIDTHS = {"one_column": 3.375, "two_columns": 7.0}
Inches = Annotated[float, Field(ge=1, le=40)]


def _wrap_range(value: Any) -> Any:
    """Return a list that holds a single range; other values unchanged."""
    is_list = isinstance(value, list | tuple)
    is_nested = is_list and any(isinstance(entry, list | tuple) for entry in value)
    return [value] if is_list and value and not is_nested else value


def check_colour_map(name: str) -> str:
    """Refuse names of colour maps that matplotlib does not have.

    Raises
    ------
    ValueError
        With the name that may be meant, or with all names.
    """
    from matplotlib import colormaps  # takes 0.2 s, and few configs name one

    if name not in colormaps:
        from rixs_pipeline.config.messages import did_you_mean

        names = [known for known in colormaps if not known.endswith("_r")]
        hint = did_you_mean(name, names)
        raise ValueError(f"no colour map '{name}' ({hint}); `_r` reverses one")
    return name


def _check_title(title: str) -> str:
    """Refuse placeholders other than `{title}`; `{100}` may be a plane of a crystal."""
    rest = title.replace("{title}", "")
    wrong = re.search(r"\{\s*[^\W\d]\w*\s*\}?|title\s*\}", rest)
    if wrong:
        raise ValueError(
            f"no placeholder `{wrong[0]}`; `{{title}}` stands for the default title"
        )
    return title


EnergyRanges = Annotated[
    tuple[EnergyLimits, ...], BeforeValidator(_wrap_range), Field(min_length=1)
]
LossRanges = Annotated[
    tuple[Limits, ...], BeforeValidator(_wrap_range), Field(min_length=1)
]
ColourMap = Annotated[str, AfterValidator(check_colour_map)]


class AxisLimits(Model):
    """Limits of the axes of a figure.

    Of several ranges, the first one applies that the data of a figure reach into.
    """

    incident: EnergyRanges | None = Field(
        None, description="incident energy [low, high], or several, eV"
    )
    emission: EnergyRanges | None = Field(
        None, description="emission energy [low, high], or several, eV"
    )
    loss: LossRanges | None = Field(
        None, description="energy loss [low, high], or several, eV"
    )
    intensity: Limits | None = Field(
        None,
        description="lower and upper end of intensities and colours, in their unit",
    )


class PlotOptions(Model):
    """Whether figures of one kind are drawn, and how they look."""

    draw: bool | None = Field(None, description="false: they are not drawn")
    format: Annotated[tuple[FigureFormat, ...], SINGLE_VALUE_ALLOWED] | None = Field(
        None, min_length=1, description="png (default), pdf, svg, or several of them"
    )
    size: (
        Literal["one_column", "two_columns"]
        | Annotated[tuple[Inches, Inches], Field(description="inches")]
        | None
    ) = Field(
        None,
        description="[width, height] in inches, or the width of one_column or "
        "two_columns of a journal; default: that of the figure",
    )
    font_size: float | None = Field(
        None,
        ge=4,
        le=40,
        description="size of axis labels, points, other texts in proportion; default: "
        "that of the figure, reduced with its width",
    )
    dpi: int | None = Field(
        None,
        ge=30,
        le=1200,
        description="dots per inch of PNG files (default 150), and of maps in others "
        "(default 300)",
    )
    title: Annotated[str, AfterValidator(_check_title)] | None = Field(
        None,
        description="title; `{title}` stands for the default one, an empty text for "
        "none",
    )
    labels: dict[Annotated[str, Field(min_length=1)], str] = Field(
        {}, description="text in the figure, such as a sample -> text in its place"
    )


class SpectrumOptions(PlotOptions):
    """How figures of spectra look."""

    limits: AxisLimits = AxisLimits()


class MapOptions(SpectrumOptions):
    """How maps look."""

    cmap: ColourMap | None = Field(
        None, description="colour map of matplotlib; default: viridis"
    )


class RebinnedMapOptions(MapOptions):
    """How maps with merged bins look."""

    min_counts: int = Field(25, ge=1, description="counts of each block of bins")


class DifferenceMapOptions(MapOptions):
    """How differences of the maps of compared samples look."""

    cmap: ColourMap = Field("RdBu_r", description="colour map of matplotlib")
    min_counts: int = Field(
        100, ge=1, description="counts of each block of bins, both samples together"
    )
    significance: bool = Field(
        False, description="show the difference over its standard deviation"
    )


class PlotsConfig(Model):
    """How the built-in figures look, by kind, and which ones are drawn."""

    defaults: MapOptions = Field(MapOptions(), description="of all figures")
    map: MapOptions = MapOptions()
    # these are drawn if they are in the config
    loss_map: MapOptions | None = None
    rebinned_map: RebinnedMapOptions | None = None
    difference_map: DifferenceMapOptions | None = None
    spectrum: SpectrumOptions = SpectrumOptions()
    overview: SpectrumOptions = SpectrumOptions()
    cuts: SpectrumOptions = SpectrumOptions()
    xas: SpectrumOptions = SpectrumOptions()
    comparison: SpectrumOptions = SpectrumOptions()
    reference_run: PlotOptions = PlotOptions()
    pixel: PlotOptions = PlotOptions()
    line_shifts: PlotOptions = PlotOptions()
    corrections: PlotOptions = PlotOptions()
    line_positions: PlotOptions = PlotOptions()

    @model_validator(mode="before")
    @classmethod
    def _read_empty_kinds(cls, values: Any) -> Any:
        """Read a kind without options like one with an empty mapping."""
        if not isinstance(values, dict):
            return values
        return {key: {} if value is None else value for key, value in values.items()}

    @model_serializer(mode="wrap")
    def _leave_out_kinds(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the kinds that are not drawn; an empty one would be drawn."""
        return {key: value for key, value in dump(self).items() if value is not None}
