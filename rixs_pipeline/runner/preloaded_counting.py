"""What processes that count and calibrate share.

They are forked from a process that imports this: it is what they need, and takes long
to load.
"""

import gc
from importlib import import_module

from rixs_pipeline.runner import array_libraries

MODULES = (
    "rixs_pipeline.cli",
    "rixs_pipeline.runner.pipeline",
    "rixs_pipeline.core.compiled_loops",
    "scipy.fft",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.special",
    "xarray",
)

array_libraries.hide()
gc.disable()  # what is loaded stays: looking through it takes a tenth of the time
for _name in MODULES:
    import_module(_name)
gc.enable()
