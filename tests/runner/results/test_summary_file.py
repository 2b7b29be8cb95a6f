import json
import os

import pytest

from rixs_pipeline.runner.results.summary_file import read

EMPTY = {"items": {}, "figures": {}, "failed": {}}


def written(out, **parts):
    content = {**EMPTY, **parts}
    (out / "run.json").write_text(json.dumps(content))
    return content


def test_what_is_right_is_kept_as_it_is(tmp_path):
    correction = {
        "name": "clock offset",
        "subject": "scan0001",
        "value": 1,
        "error": 0.1,
        "unit": "s",
        "config": "beamtime.clock_offset",
    }
    content = written(
        tmp_path,
        items={
            "scan0001": {
                "status": "done",
                "line_positions": {"O": [525.0, None]},
                "corrections": [correction],
                "anything": [1],
            }
        },
        figures={
            "scan": {
                "key": "a",
                "shows": {"figures/scan-map.png": "b", "figures/maps/x-map.pdf": "c"},
            }
        },
        failed={"scan0002": "no pulses"},
        warnings=["x"],
    )
    assert read(tmp_path) == content


@pytest.mark.parametrize(
    "name",
    [
        "../data.off",
        "/etc/passwd",
        "figures/../run.json",
        "figures/..",
        "figures",
        "figures/a/b/c.png",
        "figures/a/../b.png",
        "figures/../a/b.png",
        "figures/a.nxs",
        "maps/a.nxs",
        "",
        "figures/a\0.png",
    ],
)
def test_only_figures_are_named(tmp_path, name, caplog):
    """Figures that are no longer drawn are deleted by these names."""
    written(tmp_path, figures={"scan": {"key": "a", "shows": {name: "b"}}})
    assert read(tmp_path) == EMPTY
    assert "not the name of a figure" in caplog.text


@pytest.mark.parametrize(
    "parts",
    [
        {"items": {"scan0001": 5}},
        {"items": {"scan0001": {"status": 5}}},
        {"items": {"scan0001": {"status": "done", "warnings": "x"}}},
        {"items": {"scan0001": {"status": "done", "line_positions": {"O": [1]}}}},
        {"items": {"scan0001": {"status": "done", "corrections": [{"name": "x"}]}}},
        {"figures": {"scan": {"shows": []}}},
        {"failed": {"scan0001": None}},
        {"beamtime": ["x"]},
    ],
)
def test_changed_values_are_reported_and_ignored(tmp_path, parts, caplog):
    written(tmp_path, **parts)
    assert read(tmp_path) == EMPTY
    (message,) = caplog.messages
    assert "run.json: cannot be read (" in message
    assert "\n" not in message


def test_a_named_pipe_is_reported(tmp_path, caplog):
    os.mkfifo(tmp_path / "run.json")
    assert read(tmp_path) == EMPTY
    line = f"{tmp_path}/run.json: a named pipe, not a file; not used"
    assert caplog.messages == [line]
