"""Modules of the processes that count and calibrate, forked from one that has them."""

from rixs_pipeline.runner.array_libraries import preload

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

preload(MODULES)
