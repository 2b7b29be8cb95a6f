from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline import paths
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.context import MANY_FILES
from tests.stages.contexts import (
    add_scan_maps,
    make_context,
    numbered_scan,
    reference_run,
)

SCANS = (
    numbered_scan(1, sample="A"),
    numbered_scan(2, sample="B"),
    numbered_scan(3, sample="A", edge="O_K"),
    numbered_scan(4, sample="A"),
    numbered_scan(5, sample="A", edge=None),
)


def group_names(groups):
    return [(g.sample, g.edge, [scan.number for scan in g.scans]) for g in groups]


def test_scans_are_grouped_by_sample_and_edge_in_order_of_time(tmp_path):
    context = make_context(tmp_path, SCANS)
    add_scan_maps(context, SCANS)
    assert group_names(context.scan_groups()) == [
        ("A", "Co_L", [1, 4]),
        ("B", "Co_L", [2]),
        ("A", "O_K", [3]),
    ]
    assert context.sample_edges() == context.scan_groups()


def test_scans_without_a_map_are_in_no_group(tmp_path):
    context = make_context(tmp_path, SCANS)
    assert context.scan_groups() == []
    add_scan_maps(context, SCANS[3:])
    assert group_names(context.scan_groups()) == [("A", "Co_L", [4])]


def test_only_requested_scans_are_grouped(tmp_path):
    context = make_context(tmp_path, SCANS, scans=SCANS[:2])
    add_scan_maps(context, SCANS)
    assert group_names(context.scan_groups()) == [
        ("A", "Co_L", [1]),
        ("B", "Co_L", [2]),
    ]


def test_of_samples_with_the_same_file_name_the_first_is_reduced(tmp_path):
    scans = (
        numbered_scan(1, sample="LMR 1"),
        numbered_scan(2, sample="LMR/1"),
        numbered_scan(3, sample="LMR 1"),
    )
    context = make_context(tmp_path, scans)
    add_scan_maps(context, scans)
    assert group_names(context.scan_groups()) == [
        ("LMR 1", "Co_L", [1, 3]),
        ("LMR/1", "Co_L", [2]),
    ]
    assert group_names(context.sample_edges()) == [("LMR 1", "Co_L", [1, 3])]


def test_the_files_of_a_sample_and_edge(tmp_path):
    context = make_context(tmp_path, SCANS)
    add_scan_maps(context, SCANS)
    group = context.scan_groups()[0]
    assert group.map_path(tmp_path) == paths.map_product(tmp_path, "A", "Co_L")
    assert group.spectra_path(tmp_path) == paths.spectra_product(tmp_path, "A", "Co_L")
    assert group.scan_paths(tmp_path) == [
        paths.scan_product(tmp_path, name) for name in ("scan0001", "scan0004")
    ]


def test_digests_change_with_the_keys_and_their_order(tmp_path):
    context = make_context(tmp_path)
    first, second = tmp_path / "a.nxs", tmp_path / "b.nxs"
    context.products.add(first, second)
    digest = context.key_digest(first)
    digests = context.key_digests([first, second])
    assert digest != context.key_digest(second)
    assert digests != context.key_digests([second, first])
    context.products.add(first, key="other key")
    assert context.key_digest(first) != digest
    assert context.key_digests([first, second]) != digests


def test_calibrations_are_in_order_of_time_whether_made_or_not(tmp_path):
    runs = (reference_run(7, 100.0), *SCANS, reference_run(3, 5000.0))
    assert make_context(tmp_path, runs).calibration_paths() == [
        paths.calibration_product(tmp_path, name) for name in ("cal0007", "cal0003")
    ]


def test_emission_bins_are_those_of_the_config(tmp_path):
    config = {"map": {"emission": [500, 510], "step": 2.5}}
    edges = make_context(tmp_path, config=config).emission_edges
    np.testing.assert_allclose(edges, [500, 502.5, 505, 507.5, 510])


def test_a_map_that_does_not_fit_in_memory_is_refused(tmp_path):
    fine = {"emission": [0, 10000], "step": 0.0005}
    config = {"map": fine, "execution": {"memory": "1GB"}}
    with pytest.raises(RunFailed, match="memory"):
        make_context(tmp_path, SCANS, config).check_memory(SCANS[0])
    make_context(tmp_path, SCANS).check_memory(SCANS[0])


def test_blocks_hold_all_pixels_within_the_memory(tmp_path):
    context = make_context(tmp_path, SCANS)
    plan = context.plan_blocks(SCANS[:1], [240])
    assert 1 <= plan.size <= 240
    assert plan.at_once >= 1
    assert context.plan_blocks([], []).size >= 1


def test_few_and_many_pulse_files_have_executors_of_their_own(tmp_path):
    few, many = object(), object()
    context = replace(make_context(tmp_path), executor=many, few_executor=few)
    assert context.executor_for(MANY_FILES - 1) is few
    assert context.executor_for(MANY_FILES) is many
