import os
from dataclasses import replace
from functools import partial

import pytest

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import csv_tables, nexus
from rixs_pipeline.runner.execution.executor import Executor
from rixs_pipeline.stages.stage import (
    Content,
    Product,
    Stage,
    StageOfTasks,
    dataset_writer,
    table_writer,
)
from tests.stages.builders import scan_map
from tests.stages.contexts import make_context


def count(number):
    if number % 2:
        raise RunFailed("odd")
    return Content(count, {"number": number, "process": os.getpid()})


class Counted(StageOfTasks[int]):
    """Products of numbers; those of odd numbers fail, and 4 is not there."""

    verb = "bin"

    def products(self):
        return [Product(str(n), self.context.out / f"{n}.nxs", n) for n in range(5)]

    def options(self, product):
        return {}

    def inputs(self, product):
        return {}

    def task(self, product):
        if product.source == 4:
            raise RunFailed("not there")
        return partial(count, product.source)


class Numbers(Stage[int]):
    """Products of numbers; those of odd numbers fail."""

    verb = "bin"

    def products(self):
        return [Product(str(n), self.context.out / f"{n}.nxs", n) for n in range(3)]

    def options(self, product):
        return {}

    def inputs(self, product):
        return {}

    def compute_product(self, product):
        if product.source % 2:
            raise RunFailed("odd")
        return Content(lambda *_: None, {"number": product.source})


def test_a_product_that_fails_does_not_stop_those_after_it(tmp_path):
    stage = Numbers(make_context(tmp_path))
    results = list(stage.compute(stage.products()))
    assert [result.product.name for result in results] == ["0", "1", "2"]
    assert [str(result.content.error) for result in results] == ["None", "odd", "None"]
    assert results[2].content.unwrap().facts == {"number": 2}


@pytest.mark.parametrize(
    ("scheduler", "has_worked", "is_here"),
    [
        ("serial", True, True),
        ("threads", True, True),
        ("processes", False, True),
        ("processes", True, False),
    ],
)
def test_tasks_are_for_processes_that_are_running(
    tmp_path, scheduler, has_worked, is_here
):
    with Executor(ExecutionConfig(scheduler=scheduler, workers=2)) as executor:
        if has_worked:
            list(executor.outcomes(abs, [-1]))
        stage = Counted(replace(make_context(tmp_path), executor=executor))
        contents = [result.content for result in stage.compute(stage.products())]
    errors = [str(content.error) for content in contents]
    assert errors == ["None", "odd", "None", "odd", "not there"]
    facts = [content.unwrap().facts for content in contents[:3:2]]
    assert [fact["number"] for fact in facts] == [0, 2]
    assert {fact["process"] == os.getpid() for fact in facts} == {is_here}


def test_products_are_computed_on_request_only(tmp_path):
    stage = Numbers(make_context(tmp_path))
    computed = []
    stage.compute_product = lambda product: computed.append(product.source)
    results = stage.compute(stage.products())
    assert computed == []
    next(results)
    assert computed == [0]


def test_a_written_product_has_its_entries_and_the_attributes_of_its_key(tmp_path):
    first, second = scan_map([[1, 2]], [780.0]), scan_map([[3, 4]], [781.0])
    path = tmp_path / "product.nxs"
    write = dataset_writer({"A": first, "B": second}, "counts")
    write(path, {"config_hash": "1234"})
    entries = nexus.read_entries(path)
    assert list(entries) == ["A", "B"]
    assert entries["B"]["counts"].values.tolist() == [[3, 4]]
    assert entries["A"].attrs["config_hash"] == "1234"


def test_a_written_table_has_both_kinds_of_attributes(tmp_path):
    path = tmp_path / "table.csv"
    write = table_writer({"line": ["C_Ka"], "shift": [0.25]}, {"reference": "srd128"})
    write(path, {"config_hash": "1234"})
    attributes = csv_tables.read_attributes(path)
    assert attributes["config_hash"] == "1234"
    assert attributes["reference"] == "srd128"
    assert path.read_text().splitlines()[-1] == "C_Ka,0.2500"
