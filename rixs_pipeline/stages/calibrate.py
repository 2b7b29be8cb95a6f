"""Calibrate: reference runs become pixel calibrations, and a table of their lines."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import MapConfig
from rixs_pipeline.io.runs import Run, count_files
from rixs_pipeline.stages.corrections import (
    calibration_corrections,
    clock_attributes,
    clock_corrections,
)
from rixs_pipeline.stages.facts import PixelCount, calibration_facts
from rixs_pipeline.stages.measurement import measurement_attributes
from rixs_pipeline.stages.record_defects import describe_record_defects
from rixs_pipeline.stages.reference.parked_elastic import (
    ENERGY,
    ERRORS,
    parked_line_attributes,
    parked_line_results,
)
from rixs_pipeline.stages.stage import Content, Product, Result, Stage, dataset_writer

WORK = 5  # calibrating a pixel takes as long as counting it in so many scans


class Calibrate(Stage[Run]):
    """One calibration a reference run."""

    verb = "calibrate"
    reads_pulses = True

    def products(self) -> list[Product[Run]]:
        """Return a product for every reference run."""
        out = self.context.out
        return [
            Product(run.name, paths.calibration_product(out, run.name), run)
            for run in self.context.beamtime.calibrations
        ]

    def options(self, product: Product[Run]) -> Mapping[str, Any]:
        """Return the calibration's options but for those of scans."""
        options = self.context.config.science("calibration")
        for of_scans in ("align", "scan_drift", "hidden_drift"):
            del options["calibration"][of_scans]
        reference_set = self.context.reference_set.model_dump(mode="json")
        emission = list(self._emission)
        return options | {"reference": reference_set, "emission": emission}

    @property
    def _emission(self) -> tuple[float, float]:
        """The emission energies, eV, that the spectra cover in any case.

        Other maps within the default range do not change the calibrations, so that
        their photons need not be calibrated again.
        """
        low, high = self.context.config.map.emission
        default_low, default_high = MapConfig().emission
        is_within = default_low <= low and high <= default_high
        return (default_low, default_high) if is_within else (low, high)

    def inputs(self, product: Product[Run]) -> Mapping[str, str]:
        """Return digests of the pulses and of what the log says of the run."""
        run = product.source
        return {
            "pulses": self.context.products.pulse_digest(run),
            "log": self.context.run_digest(run),
        }

    def compute(self, products: Sequence[Product[Run]]) -> Iterator[Result[Run]]:
        """Calibrate the reference runs side by side."""
        from rixs_pipeline.stages.reference.calibrate_run import calibrate_run

        task = partial(
            calibrate_run,
            reference=self.context.reference_set,
            config=self.context.config.calibration,
            emission=self._emission,
        )
        runs = [product.source for product in products]
        with self.context.progress(
            "calibrating", len(runs), "reference runs"
        ) as report:
            executor = self.context.executor_for(WORK * count_files(runs))
            executor.warm_up()
            # Takes 0.3 s, before any result arrives: two threads that begin to import
            # it at different ends block each other, and receiving a result imports it.
            import_module("xarray")
            datasets = executor.outcomes(task, runs, report)
            for product, dataset in zip(products, datasets, strict=True):
                yield Result(product, dataset.then(partial(self._content, product)))

    def _content(self, product: Product[Run], dataset: Any) -> Content:
        from rixs_pipeline.stages.reference.calibration_warnings import (
            calibration_warnings,
        )

        run, name = product.source, product.name
        dataset = dataset.assign_attrs(clock_attributes(run))
        dataset = dataset.assign_attrs(measurement_attributes([run]))
        dataset = dataset.assign_attrs(parked_line_attributes(dataset))
        facts = calibration_facts(dataset)
        facts["results"] = [*facts["results"], *parked_line_results(dataset)]
        position = [_rounded(dataset.attrs[name]) for name in (ENERGY, ERRORS)]
        facts["elastic_line"] = position
        count = PixelCount.of(dataset["status"].values)
        losses = count.losses(name)
        if not facts["pixels_ok"]:
            reason = count.reason or "no live pixel"
            losses = [f"{name}: no pixel could be calibrated; most of them: {reason}"]
        config = self.context.config.calibration
        return Content(
            dataset_writer({"entry": dataset}, "spectrum"),
            facts,
            warnings=[
                *describe_record_defects(run),
                *calibration_warnings(dataset, name, config.lines, config.curve),
            ],
            losses=losses,
            corrections=[*clock_corrections(run), *calibration_corrections(dataset)],
        )


def _rounded(value: float) -> float | None:
    """Return a rounded number, or None for NaN, which JSON does not have."""
    return round(float(value), 4) if value == value else None
