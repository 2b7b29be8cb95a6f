import json

import pytest

from rixs_pipeline import interrupt
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.nexus import read_attributes
from rixs_pipeline.runner import pipeline as module
from rixs_pipeline.runner.execution.executor import Executor
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.pipeline import Pipeline
from rixs_pipeline.runner.results.freshness import Freshness
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.stages.stage import (
    Content,
    FigureFiles,
    Product,
    Result,
    Stage,
    dataset_writer,
)
from rixs_pipeline.types import Outcome
from tests.stages.builders import scan_map
from tests.stages.contexts import make_context, numbered_scan

SCAN_MAP = scan_map([[1, 2]], [780.0])
PROBLEM = RunFailed("names clash")


class Maps(Stage[str]):
    """Products by name, of which some fail in different ways."""

    verb = "bin"
    names = ("a", "b", "c")
    computed: list[str]

    def products(self):
        return [
            Product(n, self.context.out / f"scans/{n}.nxs", n, self.problem(n))
            for n in self.names
        ]

    def problem(self, name):
        return PROBLEM if name == "clash" else None

    def options(self, product):
        if product.source == "no options":
            raise KeyError("options")
        return {"step": self.context.config.map.step}

    def inputs(self, product):
        return {"source": product.source}

    def compute_product(self, product):
        self.computed.append(product.name)
        if product.source == "refused":
            raise RunFailed("refused: no pulses")
        if product.source == "wrong":
            raise ZeroDivisionError("1 / 0")
        write = dataset_writer({"entry": SCAN_MAP}, "counts")
        if product.source == "full disk":

            def write(path, attributes):
                raise OSError(28, "No space left on device", str(path))

        return Content(write, {"photons": 3}, [f"{product.name}: a warning"])


class Figures(Maps):
    """Sets of figures, drawn in the background."""

    verb = "report"
    names = ("a",)
    has_figures = in_background = True

    def products(self):
        folder = self.context.out / "figures"
        return [Product(f"{n} figures", folder / n, n) for n in self.names]

    def compute(self, products):
        for product in products:
            self.computed.append(product.name)
            file = self.context.out / f"figures/{product.source}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"drawn")
            name = f"figures/{file.name}"
            files = FigureFiles({name: "digest"}, (name,))
            yield Result(product, Outcome(files))


class FiguresAtOnce(Figures):
    """Handed out when they are computed, not when they are asked for."""

    def compute(self, products):
        return iter(list(super().compute(products)))


class MapsAfterFigures(Maps):
    verb = "compare"
    names = ("later",)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run stages into one folder; returns the summary, with the names computed."""

    def run(*stages, options=None, config=None, force=False):
        options = options or Options(command="command")
        computed = []
        for stage in stages:
            stage.computed = computed
        monkeypatch.setattr(module, "STAGES", stages)
        context = make_context(tmp_path, config=config, dry_run=options.dry_run)
        summary = Summary(tmp_path, context.beamtime, options, [numbered_scan(1)])
        freshness = Freshness(tmp_path, summary, Memo(), force)
        object.__setattr__(context, "products", freshness)
        Pipeline(context, summary, freshness).run()
        if not options.dry_run:
            summary.write()
        summary.computed = computed
        summary.keys = freshness.keys
        return summary

    return run


def maps(*names):
    return type("SomeMaps", (Maps,), {"names": names})


def test_products_are_made_once(run, tmp_path):
    first = run(Maps)
    assert first.computed == ["a", "b", "c"]
    assert first.executed == ["scans/a.nxs", "scans/b.nxs", "scans/c.nxs"]
    assert first.items["a"]["photons"] == 3
    assert read_attributes(tmp_path / "scans/a.nxs")["command"] == "command"
    second = run(Maps)
    assert second.computed == second.executed == []
    assert second.items["a"] == first.items["a"] | {"status": "fresh"}
    assert second.warnings == first.warnings == [f"{n}: a warning" for n in "abc"]


@pytest.mark.parametrize("is_ready", [True, False])
def test_figures_wait_for_their_processes_and_nothing_else_does(
    run, monkeypatch, is_ready
):
    monkeypatch.setattr(Executor, "is_ready", is_ready)
    summary = run(FiguresAtOnce, MapsAfterFigures)
    expected = ["a figures", "later"] if is_ready else ["later", "a figures"]
    assert summary.computed == expected
    assert summary.items["a figures"]["status"] == "done"


def test_changed_options_or_force_make_products_again(run):
    run(Maps)
    assert run(Maps, config={"map": {"step": 1.0}}).computed == ["a", "b", "c"]
    assert run(Maps, config={"map": {"step": 1.0}}, force=True).computed == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refused", "refused: no pulses"),
        ("clash", "names clash"),
        ("full disk", "full disk.nxs: No space left on device"),
        ("wrong", "ZeroDivisionError: 1 / 0 (internal error; please report it"),
        ("no options", "KeyError: 'options' (internal error; please report it"),
    ],
)
def test_a_product_that_fails_is_reported_and_the_others_are_made(
    run, tmp_path, name, reason
):
    summary = run(maps("first", name, "last"))
    assert summary.executed == ["scans/first.nxs", "scans/last.nxs"]
    assert list(summary.failed) == [name]
    assert reason in summary.failed[name]
    assert summary.items[name]["status"] == "failed"
    assert summary.exit_code == (70 if "internal error" in reason else 1)
    assert json.loads((tmp_path / "run.json").read_text())["failed"] == summary.failed


def test_a_product_that_failed_has_no_key_for_later_stages(run, tmp_path):
    keys = run(maps("a", "refused")).keys
    assert set(keys) == {tmp_path / "scans/a.nxs"}


def test_a_dry_run_computes_nothing(run, tmp_path):
    summary = run(Maps, options=Options(dry_run=True))
    assert summary.planned == ["a", "b", "c"]
    assert summary.computed == []
    assert not list(tmp_path.iterdir())


def test_a_dry_run_needs_no_pulses_to_see_that_a_product_is_missing(run):
    stage = maps("no options")
    stage.reads_pulses = True
    summary = run(stage, options=Options(dry_run=True))
    assert summary.planned == ["no options"]
    assert summary.failed == {}


def test_stages_after_the_last_one_asked_for_do_not_run(run):
    summary = run(Maps, MapsAfterFigures, options=Options(until="bin"))
    assert summary.computed == ["a", "b", "c"]
    assert not summary.is_complete
    assert run(Maps, MapsAfterFigures).is_complete


def test_figures_are_collected_after_all_stages(run):
    summary = run(Figures, MapsAfterFigures)
    assert summary.computed == ["later", "a figures"]
    assert summary.figures["a"]["shows"] == {"figures/a.png": "digest"}
    assert set(summary.timings) == {"report", "compare"}


def test_figures_are_drawn_again_where_a_file_is_missing(run, tmp_path):
    run(Figures)
    assert run(Figures).computed == []
    (tmp_path / "figures/a.png").unlink()
    assert run(Figures).computed == ["a figures"]
    assert run(Figures, force=True).computed == ["a figures"]


@pytest.mark.parametrize("content", [b"", b"other"])
def test_figures_are_drawn_again_where_a_file_was_changed(run, tmp_path, content):
    run(Figures)
    (tmp_path / "figures/a.png").write_bytes(content)
    planned = run(Figures, options=Options(dry_run=True))
    assert planned.items["a figures"]["reason"] == "content changed"
    summary = run(Figures)
    assert summary.computed == ["a figures"]
    assert summary.warnings == [
        f"{tmp_path}/figures/a.png: content changed since it was written; it is "
        "regenerated"
    ]
    last = run(Figures)
    assert last.computed == last.warnings == []


def test_products_of_an_earlier_run_are_reported_unless_only_some_scans_are_reduced(
    run,
):
    run(Maps)
    assert not any("earlier run" in line for line in run(maps("a", "b", "c")).warnings)
    (warning,) = [w for w in run(maps("a", "b")).warnings if "earlier run" in w]
    assert "scans/c.nxs" in warning
    partial = run(maps("a", "b"), options=Options(scans="1"))
    assert not any("earlier run" in line for line in partial.warnings)


def test_ctrl_c_is_no_failure_of_a_product(run, monkeypatch):
    def check():
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupt, "check", check)
    with pytest.raises(KeyboardInterrupt):
        run(Maps)
