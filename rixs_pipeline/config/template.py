"""A first config for a beamtime, fitted to what it holds, for a person to edit."""

from collections.abc import Mapping
from typing import Any

from rixs_pipeline.config.regions import Region
from rixs_pipeline.config.yaml_lines import write_yaml

_HEAD = [
    "# Options of this beamtime that differ from the defaults. Lines like `#key:` are "
    "examples: remove the # to use them.",
    "# All options: configs/example.yaml. `rixs-pipeline config check` lists errors.",
]

_EXPERIMENT = [
    "# Where, by whom and under which terms the data were taken; products state it.",
    '#experiment: {facility: SSRL, beamline: 10-1, proposal: "5678", '
    "users: [A. Person], licence: CC-BY-4.0}",
]


def initial_config(
    description: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Region]] | None = None,
) -> str:
    """Return a commented config fitted to what a beamtime holds.

    It loads as it is, and with its examples uncommented.

    Parameters
    ----------
    description
        The beamtime as `io.beamtime.inspection.describe` returns it.
    presets
        Edge -> regions that are used by default, as examples.

    Returns
    -------
    str
        The text of the file.
    """
    scans = [run for run in description["runs"] if run["kind"] == "scan"]
    samples = sorted({str(run["sample"]) for run in scans})
    edges = sorted({run["edge"] for run in scans if run["edge"]})
    readings = sorted({channel for run in scans for channel in run["readings"]})
    sections = [
        _HEAD + _summary(description, scans, edges),
        _EXPERIMENT,
        _beamtime_section(scans, samples),
        _calibration_section(description),
        _normalise_section(readings),
        _regions_section([(presets or {}).get(edge, {}) for edge in edges]),
    ]
    if len(samples) > 1:
        sections.append(_compare_section(samples[:2]))
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _summary(
    description: Mapping[str, Any], scans: list[Any], edges: list[str]
) -> list[str]:
    """Return what the beamtime holds, as comments."""
    reference_runs = [
        run["name"] for run in description["runs"] if run["kind"] == "calibration"
    ]
    lines = [
        f"# {len(scans)} scans at {', '.join(edges) or 'unknown edges'}; "
        f"{len(reference_runs)} reference runs: {', '.join(reference_runs) or 'none'}"
    ]
    without_edge = [run["name"] for run in scans if not run["edge"]]
    if without_edge:
        lines.append(
            f"# edge unknown for {', '.join(without_edge)}: set it in `beamtime.scans`"
        )
    problems = [_one_line(problem) for problem in description["problems"]]
    return lines + [f"# problem: {problem}" for problem in problems]


def _beamtime_section(scans: list[Any], samples: list[str]) -> list[str]:
    """Return names of samples, corrections and exclusions, all as examples."""
    scan = scans[0]["number"] if scans else 1
    return [
        "# corrections to the logs",
        "beamtime:",
        "  # sample name in the log: name to use",
        f"#  samples: {_flow({name: name for name in samples})}",
        "  # corrections of single scans, by number or name",
        f"#  scans: {{{scan}: {{sample: name, edge: O_K}}}}",
        "  # scans (number or name), pixels and points of a scan (from 0) to exclude",
        f"#  exclude: {{scans: [{scan}], pixels: [9], points: {{{scan}: [0, 1]}}}}",
    ]


def _calibration_section(description: Mapping[str, Any]) -> list[str]:
    """Return the reference set, with the lines as an example."""
    materials = {
        str(run["sample"])
        for run in description["runs"]
        if run["kind"] == "calibration"
    }
    return [
        "calibration:",
        "  # reference set of the energy scale: srd128, elam, ucal, hauskat2024, or a "
        ".yaml file",
        "  reference: srd128",
        f"  # lines of the reference sample ({_names(sorted(materials))}); "
        "default: identified in the spectra",
        "#  lines: [C_Ka, N_Ka, O_Ka, Fe_La, Ni_La, Cu_La]",
    ]


def _normalise_section(readings: list[str]) -> list[str]:
    """Return the channel of the incident flux: i0, or the first whose name has i0."""
    exact = [name for name in readings if name.lower() == "i0"]
    similar = [name for name in readings if "i0" in name.lower()]
    flux = next(iter(exact + similar), None)
    return [
        "normalise:",
        "  # channel with the incident flux (I0); null: normalise by live time only; "
        f"channels: {_names(readings)}",
        f"  i0: {_flow(flux)}",
    ]


def _regions_section(presets: list[Mapping[str, Region]]) -> list[str]:
    """Return the default regions of the edges, as an example."""
    lines = [
        f"#  {name}: {_flow(region.model_dump(mode='json', exclude_defaults=True))}"
        for regions in presets
        for name, region in regions.items()
    ]
    if not lines:
        return ["# without `regions`, the presets of the edges are used"]
    head = "# these regions are the defaults; a section `regions` replaces all of them"
    return [head, "#regions:", *lines]


def _compare_section(samples: list[str]) -> list[str]:
    """Return a comparison of two samples, as an example."""
    return [
        "# samples to compare: overlay, test for equality, and difference of spectra",
        "#compare:",
        f"#  pair: {_flow({'samples': samples})}",
    ]


def _flow(value: Any) -> str:
    """Return a value on one line of YAML."""
    text = write_yaml({"value": value}, one_line=True).strip()
    return text.removeprefix("{value: ").removesuffix("}")


def _names(names: list[str]) -> str:
    return ", ".join(map(_one_line, names)) or "none"


def _one_line(text: str) -> str:
    return " ".join(text.split())
