"""Independent random numbers for every part of a beamtime."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are drawn for: the first part of a generator's key."""

    READINGS = 0  # then the run's number
    SCAN = 1  # then the run's number
    BASELINE_DRIFT = 2
    PIXEL = 3  # then the channel
    PULSES = 4  # then the channel, and the run's number
    LABELS = 5
    COMMON_DRIFT = 6


def random_generator(seed: int, stream: Stream, *numbers: int) -> np.random.Generator:
    """Return the generator of one part of a beamtime.

    Parameters
    ----------
    seed
        Seed of the beamtime.
    stream
        What the random numbers are for.
    *numbers
        Channel or run number, as `Stream` lists them.

    Returns
    -------
    numpy.random.Generator
        Equal for equal arguments, independent of all others.
    """
    key = (int(stream), *numbers)
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.default_rng(sequence)
