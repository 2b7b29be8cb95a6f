"""The stages of a reduction, in order."""

from typing import Any

from rixs_pipeline.stages.bin import Bin
from rixs_pipeline.stages.calibrate import Calibrate
from rixs_pipeline.stages.combine import Combine
from rixs_pipeline.stages.compare import Compare
from rixs_pipeline.stages.extract import Extract
from rixs_pipeline.stages.references import ReferenceTable
from rixs_pipeline.stages.report import (
    ComparisonFigures,
    MapFigures,
    ReferenceRunFigures,
    SpectraFigures,
)
from rixs_pipeline.stages.stage import Stage
from rixs_pipeline.stages.xas import Xas

STAGES: tuple[type[Stage[Any]], ...] = (
    Calibrate,
    ReferenceTable,
    Bin,
    ReferenceRunFigures,
    Combine,
    MapFigures,
    Extract,
    SpectraFigures,
    Xas,
    Compare,
    ComparisonFigures,
)
