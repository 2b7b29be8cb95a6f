import json
from pathlib import Path

import pytest

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.execution.executor import Executor
from rixs_pipeline.runner.execution.workers import Executors
from rixs_pipeline.runner.open_pipeline import open_pipeline
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.summary import Summary
from tests.stages.contexts import numbered_scan

SCANS = (numbered_scan(1), numbered_scan(2))
BEAMTIME = Beamtime(Path("beamtime"), SCANS)
SERIAL = {"execution": {"scheduler": "serial", "workers": 1}}


def open_with(out, config=None, **options):
    options = Options(command="command", **options)
    summary = Summary(out, BEAMTIME, options)
    config = Config.model_validate(SERIAL | (config or {}))
    executor = Executor(config.execution)
    executors = Executors(executor, executor, executor)
    return open_pipeline(SCANS[:1], config, summary, executors, Memo())


def test_the_context_has_what_the_config_says(tmp_path):
    config = {"calibration": {"reference": "elam"}}
    with open_with(tmp_path, config) as pipeline:
        context = pipeline.context
        assert context.scans == SCANS[:1]
        assert context.beamtime is BEAMTIME
        assert context.config.calibration.reference == "elam"
        assert context.products is pipeline.freshness
        assert context.reference_set.attributes()["reference_set"] == "elam"


def test_warnings_of_stages_are_part_of_the_summary(tmp_path):
    with open_with(tmp_path) as pipeline:
        pipeline.context.warn("no beam")
    content = json.loads((tmp_path / paths.RUN_SUMMARY).read_text())
    assert content["warnings"] == ["no beam"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_summary_is_written_whatever_happens(tmp_path, error):
    with pytest.raises(error), open_with(tmp_path) as pipeline:
        pipeline.summary.add_failure("scan0001", "no pulses")
        raise error
    content = json.loads((tmp_path / paths.RUN_SUMMARY).read_text())
    assert content["failed"] == {"scan0001": "no pulses"}


def test_a_dry_run_writes_nothing(tmp_path):
    with open_with(tmp_path, dry_run=True) as pipeline:
        assert pipeline.context.dry_run
    assert list(tmp_path.iterdir()) == []


def test_force_forgets_the_figures_that_are_there(tmp_path):
    shows = {"figures/a.png": "digest"}
    content = {"items": {}, "failed": {}, "figures": {"a": {"shows": shows}}}
    (tmp_path / paths.RUN_SUMMARY).write_text(json.dumps(content))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/a.png").touch()
    with open_with(tmp_path, dry_run=True) as pipeline:
        assert pipeline.freshness.drawn_figures("a figures") == shows
    with open_with(tmp_path, dry_run=True, force=True) as pipeline:
        assert pipeline.freshness.drawn_figures("a figures") == {}
        assert pipeline.freshness.force
