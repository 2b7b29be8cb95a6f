"""A beamtime with known truth, written in the real formats."""

from pathlib import Path


def simulate_preset(
    out: Path,
    preset: str,
    *,
    seed: int | None = None,
    pixels: int | None = None,
    rate: float | None = None,
    passes: int | None = None,
    edges: str | None = None,
) -> None:
    """Simulate a preset with the changes of the command line.

    Parameters
    ----------
    out
        A directory that does not exist yet, or an empty one.
    preset
        A key of `settings.PRESETS`.
    seed, pixels, rate, passes
        Fields of `SimulationSettings`; None leaves the value of the preset.
    edges
        Names of edges, separated by commas; None leaves those of the preset.

    Raises
    ------
    UsageError
        The preset is unknown, a value is out of its range, or `out` is not empty.
    """
    # imported here so that `--help` does not load scipy
    from rixs_pipeline.simulate.beamtime import simulate
    from rixs_pipeline.simulate.settings import preset_settings

    options = {"seed": seed, "pixels": pixels, "rate": rate, "passes": passes}
    changes: dict[str, object] = {
        name: value for name, value in options.items() if value is not None
    }
    if edges is not None:
        changes["edges"] = [edge.strip() for edge in edges.split(",")]
    simulate(out, preset_settings(preset, **changes))
