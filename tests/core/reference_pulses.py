"""Pulses of reference runs, drawn directly: random gains, no phase effect, no drift."""

import numpy as np

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from tests.core.photons import SIX, emitted, height, seen

DURATION = 600.0  # s


def make_pulses(
    number: int, rng: np.random.Generator, heights: np.ndarray
) -> ReferencePulses:
    """Return pulses of given heights, in random order, of pixel `number`."""
    n = len(heights)
    rng.shuffle(heights)
    return ReferencePulses(
        pixel=number,
        pulse_height=heights,
        pretrigger_mean=rng.normal(5000, 4.5, n),
        phase=rng.uniform(-0.7, 0.3, n),
        residual=rng.normal(30, 2, n),
        time=np.linspace(0, DURATION, n),
        since_last=np.full(n, np.inf),
    )


def draw_pixel(
    number: int,
    rng: np.random.Generator,
    counts: int = 400,
    lines: tuple[str, ...] = SIX,
) -> ReferencePulses:
    """Return the pulses of a pixel: `counts` of each line and of elastic light."""
    a = 3e4 * 2 ** rng.uniform(-0.5, 0.5)
    b = rng.uniform(1800, 2200)
    d = rng.uniform(-300, 300)
    photons = [emitted(rng, name, counts) for name in lines]
    photons.append(np.full(counts, 1000.0))
    detected = seen(rng, np.concatenate(photons), 1.6)
    return make_pulses(number, rng, height(detected, a, b, d))


def draw_array(
    n: int = 4, counts: int = 400, lines: tuple[str, ...] = SIX
) -> list[ReferencePulses]:
    """Return the pulses of n pixels."""
    generators = [np.random.default_rng([0, number]) for number in range(n)]
    return [
        draw_pixel(number, rng, counts, lines) for number, rng in enumerate(generators)
    ]
