"""Products for other programs: columns of text, waves of Igor, netCDF, NeXus."""

from rixs_pipeline.io.export.spectrum import Spectrum, read_spectra
from rixs_pipeline.io.export.text_formats import (
    XdiEdge,
    write_athena,
    write_csv,
    write_xdi,
    xdi_edge,
)
from rixs_pipeline.io.export.write_formats import (
    FORMATS,
    Selection,
    export,
    missing_from_export,
)

__all__ = [
    "FORMATS",
    "Selection",
    "Spectrum",
    "XdiEdge",
    "export",
    "missing_from_export",
    "read_spectra",
    "write_athena",
    "write_csv",
    "write_xdi",
    "xdi_edge",
]
