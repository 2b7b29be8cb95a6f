"""The config: its parts by subject; loading, messages and the template for `init`."""

from rixs_pipeline.config.base import Model
from rixs_pipeline.config.calibration import (
    REFERENCE_ATTRIBUTES,
    CalibrationConfig,
    CurveName,
    ReferenceLine,
    ReferenceSet,
)
from rixs_pipeline.config.comparison import Comparison, Feature, PassesConfig
from rixs_pipeline.config.execution import ExecutionConfig, memory_in_bytes
from rixs_pipeline.config.experiment import ExperimentConfig
from rixs_pipeline.config.figures import MultiPanelFigure
from rixs_pipeline.config.models import (
    BeamtimeConfig,
    Config,
    GeometryConfig,
    MapConfig,
    ScanCorrection,
    XasConfig,
)
from rixs_pipeline.config.normalise import NormaliseConfig, find_scale
from rixs_pipeline.config.plots import MapOptions, PlotOptions, PlotsConfig
from rixs_pipeline.config.regions import (
    Background,
    Blank,
    Elastic,
    Leak,
    Piece,
    PreEdge,
    Region,
    SelfAbsorption,
    Sideband,
    count_joined_bins,
)

__all__ = [
    "REFERENCE_ATTRIBUTES",
    "Background",
    "BeamtimeConfig",
    "Blank",
    "CalibrationConfig",
    "Comparison",
    "Config",
    "CurveName",
    "Elastic",
    "ExecutionConfig",
    "ExperimentConfig",
    "Feature",
    "GeometryConfig",
    "Leak",
    "MapConfig",
    "MapOptions",
    "Model",
    "MultiPanelFigure",
    "NormaliseConfig",
    "PassesConfig",
    "Piece",
    "PlotOptions",
    "PlotsConfig",
    "PreEdge",
    "ReferenceLine",
    "ReferenceSet",
    "Region",
    "ScanCorrection",
    "SelfAbsorption",
    "Sideband",
    "XasConfig",
    "count_joined_bins",
    "find_scale",
    "memory_in_bytes",
]
