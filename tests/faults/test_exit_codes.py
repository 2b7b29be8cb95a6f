"""The last lines of a reduction and its exit code, by what is lost."""

import json

import numpy as np
import pytest

from rixs_pipeline.io.formats import off
from tests.faults.logs import forget_labels


def spoil_heights(path):
    """Replace the pulse heights of a pixel by noise without lines."""
    records = off.open_records(path)
    values = np.array(records)
    values["coefs"][:, 2] = values["coefs"][:, 2] % 97.0
    content = path.read_bytes()
    body = len(content) - len(values) * values.dtype.itemsize
    path.write_bytes(content[:body] + values.tobytes())


def move_log(path, seconds):
    """Move the times of a scan's log away from all pulses."""
    log = json.loads(path.read_text())
    for key in ("epoch_time_start_s", "epoch_time_end_s"):
        log[key] = [time + seconds for time in log[key]]
    path.write_text(json.dumps(log))


def test_loss_of_more_than_half_of_the_pixels_is_the_last_line(cli, small):
    for pixel in (1, 3):
        spoil_heights(small.off(pixel))
    result = cli("bin", small.beamtime, "-o", small.out)
    assert result.code == 1
    last = result.out.splitlines()[-1]
    assert last.startswith("lost: ")
    assert "2 of 3 live pixels lost, most of them because: " in last


def test_one_lost_pixel_of_three_is_no_loss(cli, small):
    spoil_heights(small.off(1))
    result = cli("bin", small.beamtime, "-o", small.out)
    assert result.code == 0
    assert "4 of 4 scans, 2 of 3 live pixels" in result.out
    assert "lost: " not in result.out


@pytest.mark.parametrize(("lost", "code"), [([2], 1), ([1, 2, 3, 4], 3)])
def test_lost_scans(cli, small, lost, code):
    for number in lost:
        move_log(small.log(number), 86400 * number)
        forget_labels(small.beamtime, f"SCAN{number}")
    result = cli("bin", small.beamtime, "-o", small.out)
    assert result.code == code
    lines = [line for line in result.out.splitlines() if line.startswith("lost: ")]
    assert len(lines) == 1 and f"scan000{lost[0]}" in lines[0]
    status = json.loads(cli("status", small.out, "--json").out)
    assert all(status[f"scan000{n}"]["state"] == "failed" for n in lost)


def test_a_scan_that_is_not_requested_is_no_loss(cli, small):
    move_log(small.log(2), 86400)
    result = cli("bin", small.beamtime, "-o", small.out, "--scans", "1,3")
    assert result.code == 0 and "lost: " not in result.out
