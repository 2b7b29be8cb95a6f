"""Stage of the table that compares all calibrations with the reference set."""

from collections.abc import Mapping
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    find_usable_calibrations,
    read_calibration,
)
from rixs_pipeline.stages.stage import Content, Product, Stage, table_writer


class ReferenceTable(Stage[None]):
    """What each line says of the reference set, from all calibrations."""

    verb = "calibrate"

    def products(self) -> list[Product[None]]:
        """Return the table, where there is a calibration."""
        if not self._calibrations():
            return []
        path = paths.references_table(self.context.out)
        return [Product("references", path, None)]

    def options(self, product: Product[None]) -> Mapping[str, Any]:
        """Return nothing: the options are those of the calibrations."""
        return {}

    def inputs(self, product: Product[None]) -> Mapping[str, str]:
        """Return the digests of the calibrations."""
        return {
            path.stem: self.context.key_digest(path) for path in self._calibrations()
        }

    def compute_product(self, product: Product[None]) -> Content:
        """Compare the lines of all calibrations with the reference set."""
        from rixs_pipeline.stages.reference.parked_elastic import parked_line_moves
        from rixs_pipeline.stages.reference.reference_checks import reference_checks
        from rixs_pipeline.stages.reference.reference_table import reference_table

        calibrations = [read_calibration(path) for path in self._calibrations()]
        curve = self.context.config.calibration.curve
        table = reference_table(calibrations, curve)
        attributes = self.context.reference_set.attributes()
        verdicts = dict(zip(table["line"], table["verdict"], strict=True))
        moves = parked_line_moves(calibrations)
        facts = attributes | {"lines": verdicts, "results": moves}
        usable = find_usable_calibrations(self.context)
        warnings = [*usable.warnings, *reference_checks(calibrations), *moves]
        return Content(table_writer(table, attributes), facts, warnings)

    def _calibrations(self) -> list[Any]:
        paths_of_runs = self.context.calibration_paths()
        return [path for path in paths_of_runs if self.context.has(path)]
