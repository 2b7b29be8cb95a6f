import json
import os
import time

import pytest

from rixs_pipeline import paths
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.live.delays import Delays, append_to_journal, summarise_others
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.summary import Summary
from tests.io.writers import (
    SECOND,
    T0,
    calibration_log,
    json_log,
    write_json,
    write_off,
)

SAMPLE = "LMR_RT-Co_L"
OF_SCAN = [
    "scans/scan0001.nxs",
    f"maps/{SAMPLE}.nxs",
    f"spectra/{SAMPLE}.nxs",
    f"figures/maps/{SAMPLE}-map.png",
]


@pytest.fixture
def beamtime(tmp_path):
    """A scan whose log was written three seconds ago, and a reference run."""
    folder = tmp_path / "beamtime"
    write_off(folder / "a_chan1.off", [T0 + i * SECOND for i in range(200)])
    write_scan(folder)
    write_json(
        folder / "calibration0002.json", calibration_log(2, T0 + 100 * SECOND, 60.0)
    )
    return folder


def write_scan(folder, **changes):
    log = json_log(1, T0, [770.0, 780.0, 800.0], **changes)
    path = write_json(folder / "scan0001.json", log)
    written = time.time() - 3
    os.utime(path, (written, written))


def summary_of(beamtime, tmp_path, executed):
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    summary = Summary(out, discover(beamtime), Options(command="watch"))
    summary.executed += executed
    return summary


@pytest.mark.parametrize(
    ("n_products", "made"),
    [(1, "map"), (3, "map and spectra"), (4, "map, spectra and figures")],
)
def test_the_delay_counts_from_the_last_byte_of_the_log(
    beamtime, tmp_path, n_products, made
):
    summary = summary_of(beamtime, tmp_path, OF_SCAN[:n_products])
    (result,) = Delays(since=time.time() - 60).find_new(summary)
    assert 3.0 <= result.delay < 30.0
    delay = f"{result.delay:.1f} s after its log's last byte"
    assert str(result) == f"scan0001: {made} {delay}"


def test_a_scan_from_before_the_watch_has_no_delay(beamtime, tmp_path):
    summary = summary_of(beamtime, tmp_path, OF_SCAN)
    (result,) = Delays(since=time.time()).find_new(summary)
    assert str(result) == "scan0001: map, spectra and figures"


def test_a_scan_in_progress_has_no_delay_yet(beamtime, tmp_path):
    delays = Delays(since=0.0)
    write_scan(beamtime, _ended=False)
    summary = summary_of(beamtime, tmp_path, OF_SCAN)
    (result,) = delays.find_new(summary)
    assert str(result) == "scan0001: map, spectra and figures of its first 3 points"
    assert result.delay is None
    write_scan(beamtime)
    (result,) = delays.find_new(summary_of(beamtime, tmp_path, OF_SCAN))
    assert result.delay is not None


def test_what_is_made_again_is_counted(beamtime, tmp_path):
    delays = Delays(since=0.0)
    delays.find_new(summary_of(beamtime, tmp_path, OF_SCAN))
    executed = [
        *OF_SCAN,
        "calibration/cal0002.nxs",
        "figures/reference_runs/cal0002-summary.png",
    ]
    summary = summary_of(beamtime, tmp_path, executed)
    results = delays.find_new(summary)
    assert [result.run.name for result in results] == ["cal0002"]
    assert str(results[0]).startswith("cal0002: calibration and figures ")
    assert summarise_others(summary, results) == "made again: 1 scan"
    assert summarise_others(summary_of(beamtime, tmp_path, []), []) == ""


def test_every_reduction_is_a_line_of_the_journal(beamtime, tmp_path):
    summary = summary_of(beamtime, tmp_path, OF_SCAN)
    results = Delays(since=0.0).find_new(summary)
    append_to_journal(summary, results, 1.5)
    append_to_journal(summary_of(beamtime, tmp_path, []), [], 0.1)
    lines = (tmp_path / "out" / paths.JOURNAL).read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["delays_s"] == {"scan0001": round(results[0].delay, 3)}
    assert (first["made"], first["seconds"]) == (OF_SCAN, 1.5)
    assert (second["made"], second["delays_s"]) == ([], {})
