"""A beamtime with known truth, written in the real formats."""

from pathlib import Path


def from_options(
    out: Path,
    preset: str,
    *,
    seed: int | None = None,
    pixels: int | None = None,
    rate: float | None = None,
    passes: int | None = None,
    edges: str | None = None,
) -> None:
    """Simulate a preset with what the command line changes in it; None leaves the preset's value.

    Args:
        out: a folder that does not exist yet, or an empty one.
        preset: a key of `settings.PRESETS`.
        seed, pixels, rate, passes: fields of `SimulationSettings`.
        edges: names of edges, joined by commas.

    Raises:
        UsageError: an unknown preset, a value outside its range, a folder that holds something.
    """
    from rixs_pipeline.simulate import beamtime, settings

    given = {"seed": seed, "pixels": pixels, "rate": rate, "passes": passes}
    changes: dict[str, object] = {
        name: value for name, value in given.items() if value is not None
    }
    if edges is not None:
        changes["edges"] = [edge.strip() for edge in edges.split(",")]
    beamtime.simulate(out, settings.preset(preset, **changes))
