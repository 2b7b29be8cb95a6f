"""The page on log files lists the keys that the readers use, and no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rixs_pipeline.io.formats import json_log as json_logs
from rixs_pipeline.io.formats import ssrl_log
from rixs_pipeline.io.formats.photon_list import _ARRAYS
from tests.io.writers import T0, json_log, write_json, yaml_header, yaml_pass

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "logs.md"
ROW = re.compile(r"^\| `([\w.]+)` \| .* \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def table(heading: str) -> dict[str, str]:
    """Return key -> whether it is required, of one section of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(ROW.findall(text.split(f"\n## {heading}")[1].split("\n## ")[0]))


class RecordingDict(dict[str, Any]):
    """A mapping that records which keys are read, nested ones as `extra.mono`."""

    def __init__(self, values: dict, used: set[str], prefix: str = "") -> None:
        nested = {
            key: RecordingDict(value, used, f"{key}.")
            for key, value in values.items()
            if key in ("extra", "header")
        }
        super().__init__({**values, **nested})
        self._used, self._prefix = used, prefix

    def _record(self, key: str) -> None:
        self._used.add(self._prefix + key)

    def __getitem__(self, key):
        self._record(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self._record(key)
        return super().__contains__(key)

    def get(self, key, default=None):
        self._record(key)
        return super().get(key, default)


def test_every_key_of_json_logs_is_listed(monkeypatch) -> None:
    used: set[str] = set()
    for variable in ("mono", "time"):
        log = json_log(1, T0, [780.0], var_name=variable, var_unit="s", extra={"": 0})
        recording = RecordingDict(log, used)
        monkeypatch.setattr(json_logs, "read_json", lambda *_, log=recording: log)
        assert json_logs.read(Path("scan0001.json"))
    # one is a key, the other an entry of the table of the nested object
    assert used - {"extra"} == table("JSON logs").keys()


@pytest.mark.parametrize("key", table("JSON logs"))
def test_required_keys_of_json_logs(tmp_path: Path, key: str) -> None:
    log = json_log(1, T0, [780.0], extra={"mono": 780.0, "edge": "Co_L"}, routine="a")
    parent, _, name = key.rpartition(".")
    del (log[parent] if parent else log)[name]
    run = json_logs.read(write_json(tmp_path / "scan0001.json", log))
    assert (run is None) == (table("JSON logs")[key] == "yes")


def test_the_minimal_json_log_is_a_scan(tmp_path: Path) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    path = write_json(tmp_path / "scan0001.json", json.loads(block))
    run = json_logs.read(path)
    assert run is not None
    assert (run.name, run.sample, len(run.points)) == ("scan0001", "LMR_RT", 2)
    assert (run.problems, list(run.readings)) == ((), ["i0"])


def test_every_key_of_yaml_logs_is_listed(monkeypatch) -> None:
    used: set[str] = set()
    reference_pass = yaml_pass(1, 1e9, [780.0]) | {"loop": {0: [1e9, 1e9 + 1]}}
    for passes in (yaml_pass(2, 1e9, [780.0]), reference_pass):
        documents = [yaml_header("data"), passes]
        recording = [RecordingDict(document, used) for document in documents]
        monkeypatch.setattr(ssrl_log, "_documents", lambda _, r=recording: iter(r))
        assert ssrl_log.read(Path("20260101_002_log")).runs
    assert used - {"header"} == table("YAML logs").keys()


def test_every_array_of_photon_lists_is_listed() -> None:
    assert set(_ARRAYS) == table("Photon lists").keys()
