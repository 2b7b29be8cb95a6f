"""The noise of the incident flux I0, as part of a map's errors."""

import numpy as np

from rixs_pipeline.types import FloatArray


def counter_noise(i0: FloatArray, offset: FloatArray | float) -> FloatArray:
    """Return the relative noise of an I0 that counts photons, sqrt(I0 + offset) / I0.

    Parameters
    ----------
    i0 : (point,) f8
        Readings, dark offset subtracted; a missing one is NaN.
    offset : (point,) f8 or float
        The dark offset, which counts as well.

    Returns
    -------
    (point,) f8
        One standard deviation; 0 where I0 is not positive.
    """
    counted = np.maximum(np.nan_to_num(i0) + offset, 0.0)
    no_noise = np.zeros(len(i0))
    return np.asarray(np.divide(np.sqrt(counted), i0, out=no_noise, where=i0 > 0))
