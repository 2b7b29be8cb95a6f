"""Small simulated beamtimes through the whole chain to `compare`: what its tests say of two samples.

Every beamtime has its own array, drift, reference runs and photons; two samples, two edges, two passes of each.
"""

from pathlib import Path

from rixs_pipeline import runner
from rixs_pipeline.config import Config
from rixs_pipeline.simulate.beamtime import SimulationSettings, simulate

SAMPLES = ("LMR_RT", "LMR_100C")
REGIONS = {
    "Co_PFY": {"kind": "pfy", "edge": "Co_L", "emission": [762, 800]},
    "Co_cut": {"kind": "spfy", "edge": "Co_L", "emission": [775, 777]},
    "Co_XES": {"kind": "xes", "edge": "Co_L", "incident": [779, 783], "emission": [740, 795]},
    "O_PFY": {"kind": "pfy", "edge": "O_K", "emission": [515, 530]},
    "O_sPFY": {"kind": "spfy", "edge": "O_K", "emission": [523, 524]},
    "O_band": {"kind": "pfy", "edge": "O_K", "emission": [525.5, 528], "exclude_elastic": None},
    "O_XES": {"kind": "xes", "edge": "O_K", "incident": [530.5, 531.5], "emission": [505, 535]},
}  # fmt: skip
FEATURE = {"region": "O_sPFY", "window": [530, 532], "baseline": [534, 551], "rest": "O_band"}


def settings(seed: int, redox: float = 1.0) -> SimulationSettings:
    """Six pixels without defects at 10 counts/s, about 200 photons a point of a pass and 2000 in a pixel's reference
    run; the second sample's redox feature is `redox` times as strong."""
    return SimulationSettings(
        seed=seed, pixels=6, rate=10.0, calibration_rate=10.0, calibration_duration=200.0, points=40, dwell=3.5,
        settle=0.1, passes=2, edges=("O_K", "Co_L"), last_calibration_after=3600.0, projector_samples=8, bases=3,
        samples=({"name": SAMPLES[0]}, {"name": SAMPLES[1], "redox": redox}),
        dead_pixels=(), noisy_pixels=(), jumping_pixels=(), truncated_pixels=(), beam_dumps=(),
    )  # fmt: skip


def reduce(one: SimulationSettings, folder: Path) -> Path:
    """A beamtime reduced up to its comparison, in this process."""
    simulate(folder / "beamtime", one)
    asked = {"null": {"samples": SAMPLES, "feature": FEATURE}}
    config = Config.model_validate({"regions": REGIONS, "compare": asked, "execution": {"scheduler": "serial"}})
    summary = runner.run(folder / "beamtime", config, folder / "out", runner.Options(until="compare"))
    assert summary.failed == {}
    return folder / "out"
