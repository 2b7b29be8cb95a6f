"""Modules of the processes that draw figures, forked from one that has them."""

from rixs_pipeline.runner.execution.array_libraries import preload

MODULES = (
    "rixs_pipeline.runner.execution.executor",
    "rixs_pipeline.stages.figures.plan",
    "rixs_pipeline.plots.maps",
    "rixs_pipeline.plots.spectra",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.patheffects",
    "xarray",
)

preload(MODULES)
