import pytest

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.runner.execution import workers as module
from rixs_pipeline.runner.execution.workers import (
    COUNTING,
    DRAWING,
    Workers,
    load_early,
)

THREADS = ExecutionConfig(scheduler="threads", workers=1)


def test_executors_are_open_for_one_reduction(tmp_path):
    workers = Workers()
    with workers.opened(THREADS, tmp_path, with_figures=False) as (numbers, *_):
        assert [o.unwrap() for o in numbers.outcomes(abs, [-1, 2])] == [1, 2]
    with workers.opened(THREADS, tmp_path, with_figures=False) as (others, *_):
        assert others is not numbers


def test_executors_are_kept_until_an_error(tmp_path):
    with Workers() as workers:
        with workers.opened(THREADS, tmp_path, with_figures=False) as first:
            pass
        with (
            pytest.raises(RuntimeError),
            workers.opened(THREADS, tmp_path, with_figures=False) as second,
        ):
            raise RuntimeError
        with workers.opened(THREADS, tmp_path, with_figures=False) as third:
            assert [o.unwrap() for o in third.numbers.outcomes(abs, [-1])] == [1]
    assert first is second
    assert third is not second
    with pytest.raises(RuntimeError):  # closed
        third.numbers.outcomes(abs, [-1])


@pytest.mark.parametrize(
    ("workers", "cores", "scheduler", "processes"),
    [(1, 8, "serial", 1), (4, 8, "processes", 4), (40, 8, "processes", 8)],
)
def test_figures_are_drawn_on_this_machine(
    monkeypatch, workers, cores, scheduler, processes
):
    class Workers:
        pass

    executor = Workers()
    executor.workers = workers
    monkeypatch.setattr(module, "available_cores", lambda: cores)
    execution = module._figure_execution(executor)
    assert (execution.scheduler, execution.workers) == (scheduler, processes)


@pytest.mark.parametrize(("number", "has_processes"), [(1, False), (2, True)])
def test_processes_run_between_reductions_if_there_are_several(
    tmp_path, number, has_processes, monkeypatch
):
    monkeypatch.setattr(module, "available_cores", lambda: 2)
    execution = ExecutionConfig(scheduler="threads", workers=number)
    with Workers() as workers:
        assert workers.running_processes is None
        with workers.opened(execution, tmp_path, with_figures=False) as executors:
            pass
        processes = workers.running_processes
        assert processes is (executors.figures if has_processes else None)
    assert workers.running_processes is None


@pytest.mark.parametrize(
    ("scheduler", "number", "schedulers"),
    [
        ("auto", 2, ["processes", "threads"]),
        ("auto", 1, ["threads", "threads"]),
        ("threads", 2, ["threads", "threads"]),
        ("processes", 2, ["processes", "processes"]),
    ],
)
def test_auto_has_processes_for_much_work(tmp_path, scheduler, number, schedulers):
    execution = ExecutionConfig(scheduler=scheduler, workers=number)
    with Workers().opened(execution, tmp_path, with_figures=False) as (numbers, few, _):
        assert [numbers.config.scheduler, few.config.scheduler] == schedulers
        assert numbers.has_processes == (schedulers[0] == "processes")


@pytest.mark.parametrize(
    ("scheduler", "number", "with_figures", "with_pulses", "modules"),
    [
        ("auto", 2, True, True, [(COUNTING, DRAWING)]),
        ("auto", 2, False, True, [(COUNTING,)]),
        ("auto", 2, True, False, [(DRAWING,)]),
        ("auto", 2, False, False, []),
        ("auto", 1, True, True, []),
        ("serial", None, True, True, []),
        ("slurm", 8, True, True, []),
    ],
)
def test_modules_are_loaded_early_for_processes_that_will_be_there(
    monkeypatch, scheduler, number, with_figures, with_pulses, modules
):
    loaded = []
    monkeypatch.setattr(module, "load_shared", loaded.append)
    execution = ExecutionConfig(scheduler=scheduler, workers=number)
    load_early(execution, with_figures=with_figures, with_pulses=with_pulses)
    assert loaded == modules
