"""Clock offsets that are found, against the truth of simulated beamtimes.

python -m tests.truth.clock --beamtimes 200 --seed 1000

Half of the beamtimes have a clock that is off by half a dwell or more (some with a
drift over the beamtime), the other half a sound one. Dwell, rate, pixels, edges, time
between points, labels and beam outside scans vary.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.clock.correct_clocks import correct_clocks

EDGES = (("Co_L", "O_K"), ("Ni_L", "O_K"), ("Mn_L",), ("O_K",), ("Co_L", "Ni_L"))


@dataclass(frozen=True)
class Outcome:
    """What was found in one beamtime; arrays are (scan,).

    Attributes
    ----------
    true, value, error
        Offset of the clock, what was corrected and its error (NaN: nothing), s.
    dwell
        Duration of a point, s.
    refused
        Number of scans that are refused.
    warnings
        Lines about the clock.
    """

    true: np.ndarray
    value: np.ndarray
    error: np.ndarray
    dwell: float
    refused: int
    warnings: int


def draw_settings(seed: int, *, is_off: bool) -> SimulationSettings:
    """Draw the settings of a beamtime whose clock is off, or sound."""
    rng = np.random.default_rng([seed, is_off])
    dwell = float(np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
    timing: dict[str, object] = {
        "label_lead": (0.0, float(rng.uniform(0, 3))),
        "label_lag": (0.0, float(rng.uniform(0, 1))),
        "beam_before": float(rng.uniform(0, 5)),
        "beam_after": float(rng.uniform(0, 5)),
        "beam_between": bool(rng.random() < 0.4),
        "moving": bool(rng.random() < 0.6),
    }
    if is_off:
        size = dwell * float(rng.uniform(0.5, 2.5))
        timing["clock_offset"] = size * float(rng.choice([-1, 1]))
        if rng.random() < 0.25:
            timing["clock_drift"] = float(rng.uniform(-1, 1)) * dwell
    return SimulationSettings.model_validate(
        {
            "seed": seed,
            "pixels": int(rng.integers(4, 13)),
            "edges": EDGES[int(rng.integers(len(EDGES)))],
            "passes": int(rng.integers(2, 4)),
            "points": int(rng.integers(40, 100)),
            "dwell": dwell,
            "settle": float(rng.uniform(0.02, 0.3)) * min(dwell, 2.0),
            "rate": float(rng.uniform(60, 200)) / dwell / 6,
            "calibration_rate": 1.0,
            "calibration_duration": 5.0,
            "last_calibration_after": 60.0,
            "dead_pixels": (),
            "noisy_pixels": (9,),
            "jumping_pixels": (),
            "truncated_pixels": (),
            "beam_dumps": ({"scan": 2, "first": 20, "points": 3},),
            "projector_samples": 8,
            "timing": timing,
        }
    )


def find_clock(settings: SimulationSettings) -> Outcome:
    """Simulate a beamtime and find its clock."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "beamtime"
        simulate(root, settings)
        config = Config()
        logged = discover(root, config.beamtime)
        corrected = correct_clocks(logged, config, Memo())
        runs = {run.name: run for run in corrected.runs}
        names = [scan.name for scan in logged.scans]
        timing = settings.timing
        starts = np.array([scan.start for scan in logged.scans]) - logged.runs[0].start
        true = timing.clock_offset + timing.clock_drift * (starts + 30.0) / 3600
        offsets = [runs[name].clock_offset if name in runs else None for name in names]
    return Outcome(
        true=true,
        value=np.array([offset.value if offset else np.nan for offset in offsets]),
        error=np.array([offset.error if offset else np.nan for offset in offsets]),
        dwell=settings.dwell,
        refused=sum(name not in runs for name in names),
        warnings=sum("may be off" in line for line in corrected.problems),
    )


def main() -> None:
    """Print how many offsets are found, their pulls, and false corrections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beamtimes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-v", action="store_true")
    arguments = parser.parse_args()
    for is_off in (True, False):
        outcomes = []
        for seed in range(arguments.seed, arguments.seed + arguments.beamtimes):
            settings = draw_settings(seed, is_off=is_off)
            outcome = find_clock(settings)
            outcomes.append(outcome)
            if arguments.v:
                print(_line(seed, settings, outcome), flush=True)
        _report(outcomes, is_off=is_off)


def _line(seed: int, settings: SimulationSettings, outcome: Outcome) -> str:
    pulls = (outcome.value - outcome.true) / outcome.error
    return (
        f"{seed} {'+'.join(settings.edges)} dwell {settings.dwell:.2f} true "
        f"{outcome.true[0]:.2f}..{outcome.true[-1]:.2f} "
        f"value {outcome.value[0]:.2f} +- "
        f"{outcome.error[0]:.2f} pull {np.round(pulls[[0, -1]], 1)} refused "
        f"{outcome.refused} warnings {outcome.warnings}"
    )


def _report(outcomes: list[Outcome], *, is_off: bool) -> None:
    is_corrected = [np.isfinite(outcome.value).any() for outcome in outcomes]
    refused = sum(outcome.refused > 0 for outcome in outcomes)
    warned = sum(outcome.warnings > 0 for outcome in outcomes)
    kind = "off by half a dwell or more" if is_off else "sound"
    print(
        f"clock {kind}: {sum(is_corrected)} of {len(outcomes)} corrected, {refused} "
        f"with refused scans, {warned} with a warning"
    )
    if not is_off or not any(is_corrected):
        return
    # the error is common to the scans of a beamtime: one pull each, of its first scan
    pulls = []
    for outcome in outcomes:
        rows = np.flatnonzero(np.isfinite(outcome.value))
        if len(rows):
            row = rows[0]
            difference = outcome.value[row] - outcome.true[row]
            pulls.append(difference / outcome.error[row])
    rms = np.sqrt(np.mean(np.square(pulls)))
    print(
        f"  pulls: rms {rms:.2f}, mean {np.mean(pulls):.2f}, largest "
        f"{np.abs(pulls).max():.1f}"
    )


if __name__ == "__main__":
    main()
