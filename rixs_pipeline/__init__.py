"""rixs_pipeline: from the pulses of a TES spectrometer to calibrated RIXS maps and spectra."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "open_product"]


def __getattr__(name: str) -> Any:
    """Load the public functions on first use, so that `import rixs_pipeline` stays instant."""
    if name == "open_product":
        import_module("rixs_pipeline.accessor")  # what is opened has `.rixs`
        return import_module("rixs_pipeline.io.nexus").open_product
    raise AttributeError(f"module 'rixs_pipeline' has no attribute {name!r}")
