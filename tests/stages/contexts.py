"""The context of a reduction without files: products are what a test says."""

from dataclasses import dataclass, field
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ExecutionConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.io import nexus
from rixs_pipeline.io.caches.digest_cache import digest_range
from rixs_pipeline.io.provenance import digest_values
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.execution.executor import Executor
from rixs_pipeline.stages.context import RunContext
from tests.stages.builders import calibration, points, scan


@dataclass
class ProductKeys:
    """Keys of products by path, digests of pulses by run, and figures by set."""

    keys: dict[Path, dict[str, str]] = field(default_factory=dict)
    pulses: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, str]] = field(default_factory=dict)

    def key_digest(self, path):
        return digest_values(self.keys[path])

    def file_digest(self, path):
        return digest_range(path, (0, path.stat().st_size))

    def pulse_digest(self, run):
        return self.pulses.get(run.name, f"pulses of {run.name}")

    def has_product(self, path, options, inputs):
        return path in self.keys

    def drawn_figures(self, name):
        return self.figures.get(name, {})

    def add(self, *products, key="key"):
        for path in products:
            self.keys[path] = {"config_hash": f"{key} of {path.name}"}


def make_context(out, runs=(), config=None, scans=None, **options):
    """Return a context without products; its warnings are in `context.warnings`."""
    beamtime = Beamtime(Path("beamtime"), tuple(runs))
    warnings = []
    config = Config.model_validate(config or {})
    executor = Executor(ExecutionConfig(scheduler="serial")).__enter__()
    context = RunContext(
        beamtime=beamtime,
        scans=beamtime.scans if scans is None else scans,
        config=config,
        out=out,
        reference_set=load_reference_set(config.calibration.reference),
        executor=executor,
        few_executor=executor,
        figure_executor=executor,
        products=ProductKeys(),
        warn=warnings.append,
        **options,
    )
    object.__setattr__(context, "warnings", warnings)
    return context


def reference_run(number, start_s, **attributes):
    """Return a reference run of 100 s."""
    options = {"kind": "calibration", "number": number, "name": f"cal{number:04d}"}
    at = points(n=1, dwell_s=100.0, start_s=start_s)
    return scan(at=at, **options | attributes)


def numbered_scan(number, start_s=1000.0, **attributes):
    """Return a scan of 10 s with a number."""
    at = points(start_s=start_s)
    return scan(at=at, number=number, name=f"scan{number:04d}", **attributes)


def add_calibration(context, run, pixels):
    """Write the calibration of a reference run, as made by this reduction."""
    product = calibration(run.name, run.middle, pixels)
    path = paths.calibration_product(context.out, run.name)
    nexus.write_product(path, {"entry": product}, {}, "fwhm")
    context.products.add(path)
    return path


def add_scan_maps(context, scans):
    """Add the maps of scans to the products that are there."""
    out = context.out
    context.products.add(*(paths.scan_product(out, run.name) for run in scans))
