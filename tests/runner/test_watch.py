import json
import logging
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.runs import Beamtime, RefusedRun
from rixs_pipeline.runner import watch as watch_module
from rixs_pipeline.runner.live.replay import Replay
from rixs_pipeline.runner.results.output_folder import held
from rixs_pipeline.runner.watch import FIRST_RETRY, Watch, watch_replay
from tests.without_figures import leave_out_figures

LOST = RefusedRun("scan0007", "scan0007.json: not JSON; run not used")
log = logging.getLogger("rixs_pipeline")
SERIAL = Config.model_validate(
    {"execution": {"scheduler": "serial"}, "regions": {"P": {"kind": "pfy"}}}
)


@pytest.fixture
def no_figures(monkeypatch):
    leave_out_figures(monkeypatch)


@pytest.fixture
def clock(monkeypatch):
    """Time for the watch: sleeping lets it pass, and calls what was left for it."""
    now, events = [0.0], []

    def sleep(seconds):
        now[0] += seconds
        if events:
            events.pop(0)()

    fake = SimpleNamespace(monotonic=lambda: now[0], time=lambda: 0.0, sleep=sleep)
    monkeypatch.setattr(watch_module, "time", fake)
    return SimpleNamespace(now=now, events=events)


def messages(caplog, part=""):
    return [
        record.getMessage() for record in caplog.records if part in record.getMessage()
    ]


def test_a_new_scan_is_reduced_and_no_warning_repeated(
    small, no_figures, clock, caplog
):
    shutil.rmtree(small.out)
    hidden = small.log(4).rename(small.beamtime.parent / "scan0004.json")
    small.off(5).write_bytes(b"nothing")
    clock.events += [lambda: None, lambda: hidden.rename(small.log(4))]
    with caplog.at_level("INFO", "rixs_pipeline"):
        assert Watch(small.beamtime, SERIAL, small.out).run(7.5, 3) == 0
    assert clock.now == [15.0]
    assert len(messages(caplog, "chan5.off: no OFF header")) == 1
    assert len(messages(caplog, "scan0004: map and spectra ")) == 1
    assert messages(caplog, "reducing") == [
        "5 runs: reducing",
        "LMR_100C scan 4: reducing",
    ]
    assert messages(caplog, "wrote ") == []
    lines = (small.out / paths.JOURNAL).read_text().splitlines()
    rounds = [json.loads(line) for line in lines]
    assert len(rounds) == 2
    assert "scans/scan0004.nxs" in rounds[1]["made"]
    assert list(rounds[1]["delays_s"]) == ["scan0004"]


def test_details_name_the_products(small, no_figures, clock, caplog):
    small.log(4).unlink()
    with caplog.at_level("DEBUG", "rixs_pipeline"):
        Watch(small.beamtime, SERIAL, small.out).run(1.0, 1)
    assert messages(caplog, "wrote ")


def test_a_beamtime_that_is_not_there_is_waited_for(tmp_path, clock, caplog):
    later = tmp_path / "later"
    clock.events += [lambda: None, later.mkdir]
    with caplog.at_level("INFO", "rixs_pipeline"):
        assert Watch(later, Config(), tmp_path / "out").run(1.0, 4) == 3
    assert messages(caplog, "waiting for") == [
        f"waiting for {later}: no such folder",
        f"waiting for the first file in {later}",
    ]
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {paths.OWNER_FILE, paths.LOCK_FILE}


def test_a_beamtime_may_appear_as_a_link(small, no_figures, clock, caplog):
    link = small.beamtime.parent / "link"
    clock.events += [lambda: link.symlink_to(small.beamtime)]
    assert Watch(link, SERIAL, small.out).run(1.0, 2) == 0


@pytest.fixture
def rounds(monkeypatch, clock, tmp_path):
    """Replace reductions by what they do: an exit code or an error, whenever due."""
    results = []
    (tmp_path / "beamtime").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "beamtime" / "old.dat").touch()
    os.utime(tmp_path / "beamtime" / "old.dat", (0, 0))

    def run(beamtime, _config, out, _options, session):
        result = results.pop(0)
        if isinstance(result, BaseException):
            raise result
        if not session.is_known("pixel 5: dead"):
            log.warning("pixel 5: dead")
        return SimpleNamespace(
            exit_code=result,
            beamtime=Beamtime(beamtime, (), refused=(LOST,)),
            failed={"scan0001": "no pulses"} if result else {},
            executed=[],
            out=out,
        )

    monkeypatch.setattr(watch_module, "run", run)
    return results


@pytest.fixture
def watch(tmp_path):
    return Watch(tmp_path / "beamtime", Config(), tmp_path / "out")


def change(watch):
    """Make a reduction due."""
    watch._folder._reduced.clear()


def test_nothing_is_reduced_while_nothing_changes(rounds, watch):
    rounds += [0, 1]
    assert watch.run(1.0, 5) == 0
    assert rounds == [1]
    change(watch)
    assert watch.run(1.0, 1) == 1


def test_input_that_cannot_be_used_does_not_end_the_watch(rounds, watch, clock, caplog):
    error = InputError("b: no runs")
    rounds += [error, error, 0]
    clock.events += [lambda: change(watch)] * 2
    assert watch.run(1.0, 3) == 0
    assert messages(caplog, "no runs") == ["b: no runs"]


def test_a_disk_that_cannot_be_written_is_reported_and_tried_again(
    rounds, watch, clock, caplog
):
    full = OSError(28, "No space left on device", "out/run.json")
    rounds += [full, full, 0]
    assert watch.run(FIRST_RETRY, 10) == 0
    assert messages(caplog) == [
        "out/run.json: No space left on device; make room and repeat the command: "
        "finished products are kept",
        "pixel 5: dead",
        f"lost: {LOST.reason}",
    ]
    assert rounds == []


def test_failures_are_tried_again_more_and_more_rarely(rounds, watch, clock):
    rounds += [1] * 10
    watch.run(FIRST_RETRY, 1 + 1 + 2 + 4 + 8)
    assert len(rounds) == 10 - 5


def test_errors_of_the_command_line_end_the_watch_at_its_beginning(rounds, watch):
    rounds += [UsageError("out: in use")]
    with pytest.raises(UsageError):
        watch.run(1.0)


def test_errors_of_others_do_not_end_the_watch(rounds, watch, clock, caplog):
    rounds += [0, UsageError("out: in use"), 0]
    clock.events += [lambda: change(watch)] * 2
    assert watch.run(1.0, 3) == 0
    assert messages(caplog, "out: in use") == ["out: in use"]


def test_warnings_are_logged_once(rounds, watch, clock, caplog):
    rounds += [0, 0, 0]
    clock.events += [lambda: change(watch)] * 2
    watch.run(1.0, 3)
    assert messages(caplog) == ["pixel 5: dead", f"lost: {LOST.reason}"]


def test_an_interruption_ends_the_watch(rounds, watch, clock):
    rounds += [0, KeyboardInterrupt()]
    clock.events += [lambda: change(watch)]
    with pytest.raises(KeyboardInterrupt):
        watch.run(1.0)


def test_when_no_more_data_come_all_are_reduced(rounds, watch, clock):
    rounds += [0, 0]
    is_over = []
    clock.events += [lambda: (watch.beamtime / "more.dat").touch()]
    clock.events += [lambda: is_over.append(True)]
    assert watch.run(1.0, has_ended=lambda: bool(is_over)) == 0
    assert rounds == []


def test_the_folder_is_held_while_nothing_is_reduced(rounds, watch, clock):
    """For reductions with the same config, also of a beamtime that has grown."""
    looks = []

    def come_in():
        (watch.beamtime / "more.dat").touch()
        with held(watch.out, watch.config, watch.beamtime):
            looks.append("shared")
        with (
            pytest.raises(UsageError, match="in use by a reduction with another conf"),
            held(watch.out, SERIAL, watch.beamtime),
        ):
            pytest.fail("held")
        with pytest.raises(UsageError, match="with another config"):
            Watch(watch.beamtime, SERIAL, watch.out).run(1.0, 1)

    rounds += [0]
    clock.events += [come_in]
    watch.run(1.0, 2)
    assert looks == ["shared"]
    with held(watch.out, SERIAL, watch.beamtime):
        pass


def test_a_replay_and_the_results_may_be_in_one_folder(
    small_beamtime, tmp_path, monkeypatch
):
    monkeypatch.setattr(watch_module, "replaying", nullcontext)
    monkeypatch.setattr(Watch, "run", lambda *_, **__: 0)
    folder = tmp_path / "replay"
    for _ in range(2):
        watched = Watch(folder, Config(), folder / "out")
        assert watch_replay(watched, small_beamtime, 1.0, 1.0) == 0
    assert (folder / "out" / paths.OWNER_FILE).exists()


def test_a_replay_that_is_refused_keeps_what_is_there(small_beamtime, tmp_path):
    folder = tmp_path / "replay"
    with Replay(small_beamtime, folder).held():
        (folder / "logs").mkdir()
        (folder / "logs" / "scan0001.json").touch()
        with pytest.raises(UsageError, match="another replay"):
            watch_replay(
                Watch(folder, Config(), tmp_path / "out"), small_beamtime, 1.0, 1.0
            )
    other = Watch(folder, SERIAL, tmp_path / "out")
    other.out.mkdir()
    with (
        held(tmp_path / "out", Config(), folder),
        pytest.raises(UsageError, match="another config"),
    ):
        watch_replay(other, small_beamtime, 1.0, 1.0)
    assert (folder / "logs" / "scan0001.json").exists()


def test_the_waiting_line(rounds, watch, clock, caplog):
    rounds += [0]
    with caplog.at_level("INFO", "rixs_pipeline"):
        watch.run(1.0, 3)
    assert messages(caplog)[0] == f"watching {watch.beamtime}; results: {watch.out}"
    assert messages(caplog, "waiting for") == ["waiting for the next scan"]


def test_the_path_of_the_beamtime_may_be_relative(rounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rounds += [0]
    assert Watch(Path("beamtime"), Config(), Path("out")).run(1.0, 1) == 0


def test_folders_within_each_other_are_refused_at_once(small, tmp_path, cli):
    for folder, options in (
        (small.beamtime, ()),
        (tmp_path / "new", ("--replay", small.beamtime)),
    ):
        result = cli("watch", folder, "-o", folder, *options)
        assert result.code == 2 and "is the beamtime directory" in result.err
    assert not (tmp_path / "new").exists()
