"""What processes that draw share: they are forked from a process that imports this.

It is what they need, and takes long to load.
"""

import gc
from importlib import import_module

from rixs_pipeline.runner import array_libraries

MODULES = (
    "rixs_pipeline.cli",
    "rixs_pipeline.runner.pipeline",
    "rixs_pipeline.stages.figures.plan",
    "rixs_pipeline.plots.maps",
    "rixs_pipeline.plots.spectra",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.patheffects",
    "xarray",
)

array_libraries.hide()
gc.disable()  # what is loaded stays: looking through it takes a tenth of the time
for _name in MODULES:
    import_module(_name)
gc.enable()
