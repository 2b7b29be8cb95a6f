"""What processes that count and calibrate share, beside what those that draw share."""

from importlib import import_module

from rixs_pipeline.runner import preloaded_drawing

MODULES = (
    *preloaded_drawing.MODULES,
    "rixs_pipeline.core.compiled_loops",
    *(f"scipy.{part}" for part in ("fft", "linalg", "ndimage", "optimize", "signal")),
)

for _name in MODULES:
    import_module(_name)
