"""Arguments of `rixs_map.rixs`: keys of the config as keywords, checked."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast

from rixs_pipeline.config import Comparison, Region
from rixs_pipeline.config.plots import check_colour_map
from rixs_pipeline.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

    Window = Sequence[float]  # [low, high], eV

Kind = Literal["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]


class ComparedRegion(TypedDict, total=False):
    """Keys of a region whose counts are compared: all but `scale`."""

    emission: Window | None
    incident: Window | None
    loss: Window | None
    polygon: Sequence[tuple[float, float]] | None
    pieces: Sequence[Mapping[str, Any]]
    exclude_elastic: float | None
    background: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    pre_edge: Window | None
    post_edge: Window | None
    self_absorption: Mapping[str, Any] | None
    features: Mapping[str, Window]
    cuts: Sequence[float | Window]
    axis: Literal["emission", "loss"]
    step: float | None
    edge: str
    preset: str


class RegionOptions(ComparedRegion, total=False):
    """Keys of a region, as in the config's `regions`; energies in eV."""

    scale: str | Window


class FeatureOptions(TypedDict, total=False):
    """A feature whose strength is compared, as in the config's `compare`.

    `window` and `baseline` are [low, high] in eV, `rest` the keys of a region with the
    emission other than the feature.
    """

    window: Window
    baseline: Window
    rest: Mapping[str, Any]


Method = TypeVar("Method", bound=Callable[..., Any])


def with_options(keys: type) -> Callable[[Method], Method]:
    """Show the keys of a TypedDict in a signature: Tab and help list them."""

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)
        parameters = signature.parameters
        given = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=...)
            for name in keys.__annotations__
            if name not in parameters
        ]
        shown = signature.replace(parameters=[*given, *options])
        cast(Any, method).__signature__ = shown
        return method

    return decorate


def region_from(name: str, mapping: dict[str, Any]) -> Region:
    """Return a region from its keys.

    Raises
    ------
    ValueError
        One line for each key or value that is wrong.
    """
    # these load a YAML reader
    from rixs_pipeline.config.messages import validate
    from rixs_pipeline.config.yaml_lines import from_values

    try:
        return validate(Region, from_values(mapping, name))
    except ConfigError as error:
        raise ValueError(str(error)) from None


def comparison_from(mapping: dict[str, Any]) -> Comparison:
    """Return a comparison from its keys.

    Raises
    ------
    ValueError
        One line for each key or value that is wrong.
    """
    # these load a YAML reader
    from rixs_pipeline.config.messages import validate
    from rixs_pipeline.config.yaml_lines import from_values

    given = {key: value for key, value in mapping.items() if value is not None}
    try:
        return validate(Comparison, from_values(given, "compare"))
    except ConfigError as error:
        message = str(error).replace("compare: scale:", "compare: factor:")
        raise ValueError(message) from None


def maps_by_sample(first: xr.Dataset, second: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return two maps by sample; those of one sample by sample and run.

    Raises
    ------
    ValueError
        Different edges, scans that both contain, or maps that are known to be of
        different reductions: by reference set and by what the config says of maps.
    """
    maps = (first, second)
    for key in ("reference_set", "reference_variants", "option_hashes"):
        values = [str(rixs_map.attrs.get(key, "")) for rixs_map in maps]
        if values[0] != values[1]:
            texts = "" if key == "option_hashes" else f": {' and '.join(values)}"
            raise ValueError(
                f"the maps are of different reductions ({key} differs{texts}); reduce "
                "both with one config"
            )
    edges = [str(rixs_map.attrs["edge"]) for rixs_map in maps]
    if edges[0] != edges[1]:
        raise ValueError(f"the maps must have one edge, not {edges[0]} and {edges[1]}")
    scans = [
        json.loads(rixs_map.attrs.get("scans", "[]")) or [rixs_map.attrs.get("run")]
        for rixs_map in maps
    ]
    if shared := sorted(set(scans[0]) & set(scans[1])):
        raise ValueError(
            f"both maps contain {shared[0]}; compare different maps of one reduction "
            "(reduce several beamtimes together)"
        )
    samples = [str(rixs_map.attrs["sample"]) for rixs_map in maps]
    if samples[0] == samples[1]:
        names = [f"{samples[0]} {', '.join(runs)}" for runs in scans]
        return dict(zip(names, maps, strict=True))
    return dict(zip(samples, maps, strict=True))


def regions_from(mappings: Mapping[str, Mapping[str, Any]]) -> dict[str, Region]:
    """Return regions from their keys, by name.

    Raises
    ------
    ValueError
        Not a mapping, or as for `region_from`.
    """
    if not isinstance(mappings, Mapping):
        raise ValueError(
            "`regions` must be a mapping of names to keys of the config's `regions`, "
            'such as {"sPFY": {"kind": "spfy", "emission": [523, 524]}}'
        )
    configured = {}
    for name, mapping in mappings.items():
        if not isinstance(mapping, Mapping):
            raise ValueError(
                f"{name}: must be a mapping of keys to values, such as "
                f'{{"kind": "spfy", "emission": [523, 524]}}, not {mapping!r}'
            )
        configured[name] = region_from(name, dict(mapping))
    return configured


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value of an argument that is none of those allowed."""
    if value not in allowed:
        choices = " or ".join(map(repr, allowed))
        raise ValueError(f"`{name}` must be {choices}, not {value!r}")


def check_cmap(name: object) -> None:
    """Refuse what is not the name of a colour map, such as the map itself."""
    if not isinstance(name, str):
        kind = type(name).__name__
        raise ValueError(
            f"`cmap` must be the name of a colour map of matplotlib, not {kind}"
        )
    check_colour_map(name)


def check_axes(ax: object) -> None:
    """Refuse an argument `ax` that is not one Axes, such as an array of them."""
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise ValueError(
            f"`ax` must be one Axes of matplotlib, not {type(ax).__name__}"
        )


def with_window(
    options: RegionOptions,
    name: Literal["emission", "incident"],
    window: tuple[float | Window, ...],
) -> RegionOptions:
    """Return options with a window that was given as two numbers, or as a list."""
    if not window:
        return options
    if name in options:
        raise ValueError(f"`{name}` is given twice: {window} and {options[name]}")
    limits = window[0] if len(window) == 1 else window
    return cast(RegionOptions, {**options, name: limits})
