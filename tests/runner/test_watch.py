import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.errors import InputError
from rixs_pipeline.runner import watch as watch_module
from rixs_pipeline.runner.watch import watch
from rixs_pipeline.stages import report

log = logging.getLogger("rixs_pipeline")


def test_watch_adds_new_scans_and_repeats_no_warning(small, monkeypatch, caplog):
    shutil.rmtree(small.out)
    hidden = small.log(4).rename(small.beamtime.parent / "scan0004.json")
    small.off(5).write_bytes(b"nothing")
    rounds = []

    def appears(seconds):
        rounds.append(seconds)
        if len(rounds) == 2:
            hidden.rename(small.log(4))

    monkeypatch.setattr(watch_module.time, "sleep", appears)
    config = Config.model_validate(
        {"execution": {"scheduler": "serial"}, "regions": {"P": {"kind": "pfy"}}}
    )
    for plan in ("plan_reference_runs", "plan_results"):
        monkeypatch.setattr(report, plan, lambda *_: iter(()))
    assert watch(small.beamtime, config, small.out, 7.5, 3) == 0
    assert rounds == [7.5, 7.5]
    assert (small.out / "scans/scan0004.nxs").is_file()
    assert (
        len([r for r in caplog.records if "chan5.off: no OFF header" in r.getMessage()])
        == 1
    )


def test_watch_waits_for_a_beamtime_that_is_still_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(watch_module.time, "sleep", lambda _: None)
    assert watch(tmp_path / "later", Config(), tmp_path / "out", 1.0, 2) == 3
    assert not (tmp_path / "out").exists()


@pytest.fixture
def rounds(monkeypatch):
    """Replaces reductions by a list of what they do: an exit code, or an error."""
    results = []

    def run(*_):
        result = results.pop(0)
        log.info("looking")
        if isinstance(result, BaseException):
            raise result
        log.warning("pixel 5 is dead")
        return SimpleNamespace(exit_code=result)

    monkeypatch.setattr(watch_module, "run", run)
    monkeypatch.setattr(watch_module.time, "sleep", lambda _: None)
    return results


def watch_rounds(number):
    return watch(Path("b"), Config(), Path("out"), 1.0, number)


def test_the_exit_code_is_that_of_the_last_round(rounds):
    rounds += [1, 0, 1, 0]
    assert watch_rounds(1) == 1
    assert watch_rounds(2) == 1
    assert watch_rounds(1) == 0
    assert rounds == []


def test_input_that_cannot_be_used_does_not_end_the_watch(rounds):
    rounds += [InputError("b: no runs"), 0]
    assert watch_rounds(2) == 0


def test_warnings_are_logged_once_and_progress_every_round(rounds, caplog):
    rounds += [0, 0, 0]
    with caplog.at_level("INFO", "rixs_pipeline"):
        watch_rounds(3)
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("pixel 5 is dead") == 1
    assert messages.count("looking") == 3


def test_warnings_are_logged_again_after_the_watch(rounds, caplog):
    rounds += [0]
    watch_rounds(1)
    log.warning("pixel 5 is dead")
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("pixel 5 is dead") == 2


def test_an_interruption_ends_the_watch(rounds):
    rounds += [0, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        watch_rounds(None)
