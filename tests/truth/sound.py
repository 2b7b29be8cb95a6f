"""Sound beamtimes: what is reported, corrected or lost although nothing is wrong.

    python -m tests.truth.sound --beamtimes 200 --seed 1000

Every beamtime has its own numbers of pixels, points and counts, its own drift,
resolution and dwell, labels before the first point, beam between scans, one or two
reference runs, dead time between points. No pixel is bad.
"""

import argparse
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rixs_pipeline.config import Config
from rixs_pipeline.io import nexus
from rixs_pipeline.runner.results.last_lines import warning_kind
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import Correction, are_ok

EDGES = ("Co_L", "O_K", "Mn_L", "Ni_L")
NO_DEFECTS: dict[str, Any] = {
    "dead_pixels": [],
    "noisy_pixels": [],
    "jumping_pixels": [],
    "truncated_pixels": [],
    "beam_dumps": [],
    "projector_samples": 16,
    "bases": 3,
}


@dataclass(frozen=True)
class SoundResult:
    """What a reduction says of a sound beamtime."""

    seed: int
    exit_code: int
    reports: tuple[str, ...]
    losses: tuple[str, ...]
    corrections: tuple[Correction, ...]
    lost_pixels: tuple[str, ...]


def draw_settings(seed: int) -> SimulationSettings:
    """Draw the settings of a sound beamtime."""
    rng = np.random.default_rng([seed, 11])
    pixels = int(rng.choice([1, 2, 3, 4, 6, 8, 12]))
    rate = float(np.exp(rng.uniform(np.log(3), np.log(40))))
    counts = float(np.exp(rng.uniform(np.log(250), np.log(2000))))  # of a line
    calibration_rate = float(rng.uniform(8, 30))
    edges = rng.choice(EDGES, int(rng.integers(1, 3)), replace=False).tolist()
    timing = {
        "label_lead": [0.0, float(rng.uniform(0, 3))],
        "label_lag": [0.0, float(rng.uniform(0, 3))],
        "beam_before": float(rng.choice([0, 4])),
        "beam_after": float(rng.choice([0, 5])),
        "beam_between": bool(rng.random() < 0.3),
        "moving": bool(rng.random() < 0.5),
    }
    values = NO_DEFECTS | {
        "seed": seed,
        "pixels": pixels,
        "rate": rate,
        "calibration_rate": calibration_rate,
        "calibration_duration": 6 * counts / calibration_rate,
        "edges": edges,
        "passes": int(rng.integers(1, 4)),
        "points": int(rng.integers(20, 60)),
        "dwell": float(rng.uniform(0.5, 3)),
        "settle": float(rng.uniform(0, 0.5)),
        "calibrations": int(rng.choice([1, 2])),
        "last_calibration_after": float(rng.choice([600, 3600, 7200])),
        "fwhm": float(rng.uniform(1.3, 3.2)),
        "timing": timing,
    }
    return SimulationSettings.model_validate(values)


def reduce_sound(seed: int, folder: Path, until: str = "compare") -> SoundResult:
    """Simulate a sound beamtime and reduce it.

    Parameters
    ----------
    seed : int
        Of the beamtime and its settings.
    folder : Path
        Empty; beamtime and results are written to it.
    until : str
        Verb of the last stage.

    Returns
    -------
    SoundResult
        What the reduction says of it.
    """
    simulate(folder / "beamtime", draw_settings(seed))
    config = Config.model_validate({"execution": {"scheduler": "serial"}})
    out = folder / "out"
    summary = run(folder / "beamtime", config, out, Options(until=until))
    items = summary.items.values()
    return SoundResult(
        seed=seed,
        exit_code=summary.exit_code,
        reports=tuple(summary.reports),
        losses=(*summary.failed.values(), *summary.losses),
        corrections=tuple(
            Correction(**values)
            for facts in items
            for values in facts.get("corrections", [])
        ),
        lost_pixels=tuple(_lost_pixels(out)),
    )


def _lost_pixels(out: Path) -> Iterator[str]:
    """Yield the pixels that a product does not use."""
    for name, path in (
        *(("status", path) for path in sorted(out.glob("calibration/*.nxs"))),
        *(("pixel_status", path) for path in sorted(out.glob("scans/*.nxs"))),
    ):
        statuses = nexus.read_values(path, name)
        pixels = nexus.read_values(path, "pixel")
        for row in np.flatnonzero(~are_ok(statuses)):
            yield f"{path.stem}: pixel {pixels[row]}: {statuses[row]}"


def main() -> None:
    """Reduce sound beamtimes and print what is said of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beamtimes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until", default="compare")
    arguments = parser.parse_args()
    logging.getLogger("rixs_pipeline").setLevel(logging.CRITICAL)
    seeds = range(arguments.seed, arguments.seed + arguments.beamtimes)
    kinds: dict[str, list[tuple[int, str]]] = defaultdict(list)
    corrections: list[Correction] = []
    codes: Counter[int] = Counter()
    for seed in seeds:
        with TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            result = reduce_sound(seed, Path(folder), arguments.until)
        codes[result.exit_code] += 1
        lines = [*result.reports, *result.losses]
        lines += [f"{line} (lost pixel)" for line in result.lost_pixels]
        for line in lines:
            kinds[warning_kind(line)].append((seed, line))
        corrections += result.corrections
        lines += count_corrections(result.corrections)
        # at once: a series that is stopped is not lost
        print(f"{seed}: exit code {result.exit_code}", *lines, sep="\n  ", flush=True)
    print(f"exit codes: {dict(codes)}", *count_corrections(corrections), sep="\n")
    _print_kinds(kinds)


def count_corrections(corrections: Iterable[Correction]) -> list[str]:
    """Return a line for each name of corrections: how many, and beyond their errors."""
    sizes: dict[str, list[Correction]] = defaultdict(list)
    for correction in corrections:
        sizes[correction.name].append(correction)
    lines = []
    for name, of_name in sizes.items():
        ratios = np.array([c.value / c.error for c in of_name if c.error > 0])
        beyond = int((np.abs(ratios) > 1).sum())
        lines.append(f"correction: {name}: {len(of_name)}, {beyond} beyond their error")
    return lines


def _print_kinds(kinds: dict[str, list[tuple[int, str]]]) -> None:
    by_frequency = sorted(kinds.values(), key=lambda lines: -len({s for s, _ in lines}))
    for lines in by_frequency:
        seeds = sorted({seed for seed, _ in lines})
        listed = ", ".join(map(str, seeds[:8]))
        print(f"{len(seeds)} beamtimes ({listed}): {lines[0][1]}")


if __name__ == "__main__":
    main()
