"""Modules of the processes that count and calibrate, forked from one that has them."""

from rixs_pipeline.runner.execution.array_libraries import preload

MODULES = (
    "rixs_pipeline.cli",
    "rixs_pipeline.runner.pipeline",
    "rixs_pipeline.stages.reference.calibrate_run",
    "rixs_pipeline.stages.scan.count_scans",
    "rixs_pipeline.stages.flux.compare_passes",
    "rixs_pipeline.stages.flux.compare_readings",
    "rixs_pipeline.stages.sample.combine_scans",
    "rixs_pipeline.stages.sample.passes",
    "rixs_pipeline.stages.sample.region_spectra",
    "rixs_pipeline.core.compiled_loops",
    "scipy.fft",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.special",
    "xarray",
)

preload(MODULES)
