"""A first config for a beamtime, fitted to what it holds, for a person to go on from."""

from collections.abc import Mapping
from typing import Any

from rixs_pipeline.config.models import Region
from rixs_pipeline.config.yaml_lines import write


def initial_config(
    description: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Region]] | None = None,
) -> str:
    """A commented config fitted to what a beamtime holds: it loads as it is, and with its examples uncommented.

    Args:
        description: the beamtime as `io.inspection.describe` gives it.
        presets: edge -> the regions that are used by default, to start from.
    """
    scans = [run for run in description["runs"] if run["kind"] == "scan"]
    samples = sorted({str(run["sample"]) for run in scans})
    edges = sorted({run["edge"] for run in scans if run["edge"]})
    readings = sorted({channel for run in scans for channel in run["readings"]})
    lines = [
        "# What this beamtime needs beyond the defaults. Lines like `#key:` are examples: remove the # to use them.",
        "# All options: configs/example.yaml; `rixs-pipeline config check` finds mistakes.",
        *_found(description, scans, edges),
        "",
        *_beamtime_section(scans, samples),
        "",
        *_calibration_section(description),
        "",
        *_normalise_section(readings),
        "",
        *_regions_section({edge: (presets or {}).get(edge, {}) for edge in edges}),
    ]
    if len(samples) > 1:
        pair = _flow({"samples": samples[:2]})
        lines += [
            "",
            "# samples whose spectra are overlaid, two of them with their difference",
            "#compare:",
            f"#  pair: {pair}",
        ]
    return "\n".join(lines) + "\n"


def _found(
    description: Mapping[str, Any], scans: list[Any], edges: list[str]
) -> list[str]:
    """What the file is fitted to, as comments."""
    calibrations = [
        run["name"] for run in description["runs"] if run["kind"] == "calibration"
    ]
    unknown = [run["name"] for run in scans if not run["edge"]]
    lines = [
        f"# {len(scans)} scans at {', '.join(edges) or 'no known edge'}; "
        f"{len(calibrations)} reference runs: {', '.join(calibrations) or 'none'}"
    ]
    lines += (
        [f"# no edge is known for {', '.join(unknown)}: name it below, under scans"]
        if unknown
        else []
    )
    return [
        *lines,
        *(f"# problem: {_one_line(problem)}" for problem in description["problems"]),
    ]


def _beamtime_section(scans: list[Any], samples: list[str]) -> list[str]:
    """Names of samples, corrections and exclusions, all as examples."""
    scan = scans[0]["number"] if scans else 1
    return [
        "# corrections to what the logs say",
        "beamtime:",
        "  # name in the log: name to use",
        f"#  samples: {_flow({name: name for name in samples})}",
        "  # what the log of one scan says wrongly or not at all",
        f"#  scans: {{{scan}: {{sample: name, edge: O_K}}}}",
        "  # scans (number or name), pixels, and points of a scan (counted from 0) that are left out",
        f"#  exclude: {{scans: [{scan}], pixels: [9], points: {{{scan}: [0, 1]}}}}",
    ]


def _calibration_section(description: Mapping[str, Any]) -> list[str]:
    """The reference set, with the lines as an example."""
    materials = sorted(
        {
            str(run["sample"])
            for run in description["runs"]
            if run["kind"] == "calibration"
        }
    )
    return [
        "calibration:",
        "  reference: srd128  # the energy scale: srd128, elam, ucal, hauskat2024, or a .yaml file like them",
        f"  # lines of the reference sample ({_names(materials)}); they are found if they are not named",
        "#  lines: [C_Ka, N_Ka, O_Ka, Fe_La, Ni_La, Cu_La]",
    ]


def _normalise_section(readings: list[str]) -> list[str]:
    """The channel of the incident flux: i0 if there is one, else the first that is called like it."""
    flux = next((name for name in readings if name.lower() == "i0"), None)
    flux = flux or next((name for name in readings if "i0" in name.lower()), None)
    return [
        "normalise:",
        f"  # channel with the incident flux, null: live time alone; the logs have {_names(readings)}",
        f"  i0: {_flow(flux)}",
    ]


def _regions_section(presets: Mapping[str, Mapping[str, Region]]) -> list[str]:
    """The default regions of the edges found, commented: uncommented they replace the defaults."""
    lines = [
        "# these regions are the defaults; a section `regions` replaces all of them",
        "#regions:",
    ]
    for regions in presets.values():
        lines += [
            f"#  {name}: {_flow(region.model_dump(mode='json', exclude_defaults=True))}"
            for name, region in regions.items()
        ]
    return (
        lines
        if len(lines) > 2
        else ["# no `regions`: the presets of the edges are used"]
    )


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    return (
        write({"value": value}, one_line=True)
        .strip()
        .removeprefix("{value: ")
        .removesuffix("}")
    )


def _names(names: list[str]) -> str:
    return ", ".join(map(_one_line, names)) or "none"


def _one_line(text: str) -> str:
    return " ".join(text.split())
