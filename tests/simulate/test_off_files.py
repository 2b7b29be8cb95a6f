import json

import numpy as np
import pytest

from rixs_pipeline.simulate.off_files import (
    off_header,
    off_path,
    pulse_model,
    record_dtype,
    write_off_file,
)
from rixs_pipeline.simulate.settings import SimulationSettings


def test_projectors_invert_the_basis():
    model = pulse_model(bases=5, samples=200)
    identity = model.projectors @ model.basis
    np.testing.assert_allclose(identity, np.eye(5), atol=1e-9)


@pytest.mark.parametrize(("version", "size"), [("0.1.0", 52), ("0.3.0", 56)])
def test_records_are_packed_and_newer_versions_have_pretrigger_delta(version, size):
    settings = SimulationSettings(off_version=version, bases=5)
    assert record_dtype(settings).itemsize == size


def test_header_is_json_and_then_the_matrices():
    settings = SimulationSettings(bases=3, projector_samples=16)
    header = off_header(settings, channel=61)
    text, _, matrices = header.partition(b"\n}\n")
    readout = json.loads(text + b"}")["ReadoutInfo"]
    assert (readout["ColumnNum"], readout["RowNum"]) == (1, 0)
    assert len(matrices) == 2 * 3 * 16 * 8


def test_only_truncated_pixels_lose_a_record(tmp_path):
    settings = SimulationSettings(truncated_pixels=(17,))
    records = [np.zeros(3, record_dtype(settings)), np.zeros(2, record_dtype(settings))]
    off_path(tmp_path, 1).parent.mkdir(parents=True)
    assert write_off_file(tmp_path, settings, 1, records) == 5
    assert write_off_file(tmp_path, settings, 17, records) == 4
    assert write_off_file(tmp_path, settings, 3, []) == 0
    assert off_path(tmp_path, 3).read_bytes() == off_header(settings, 3)
