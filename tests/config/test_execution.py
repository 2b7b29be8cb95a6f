import pytest

from rixs_pipeline.config import ExecutionConfig, memory_in_bytes
from tests.config.helpers import assert_invalid


@pytest.mark.parametrize(
    "scheduler", ["serial", "threads", "processes", "slurm", "tcp://10.0.0.1:8786"]
)
def test_schedulers(scheduler: str) -> None:
    assert ExecutionConfig(scheduler=scheduler).scheduler == scheduler


@pytest.mark.parametrize(
    "values",
    [
        {"scheduler": "dask"},
        {"scheduler": "tcp://"},
        {"workers": 0},
        {"memory": "1"},
        {"cluster": {"walltime": "two hours"}},
        {"cluster": {"setup": ["module load python\nrm -r x"]}},
        {"cluster": {"partition": "debug\nrm -r x"}},
        {"cluster": {"partition": "debug --output=x"}},
        {"cluster": {"account": "--output=x"}},
    ],
)
def test_invalid_options_are_errors(values: dict[str, object]) -> None:
    assert_invalid(ExecutionConfig, values)


@pytest.mark.parametrize(
    ("memory", "n_bytes"),
    [
        ("1kB", 1000),
        ("1.5 GB", 1_500_000_000),
        ("4GiB", 4 * 2**30),
        ("2 TB", 2 * 10**12),
        ("512MiB", 512 * 2**20),
    ],
)
def test_memory_in_bytes(memory: str, n_bytes: int) -> None:
    assert memory_in_bytes(memory) == n_bytes
    assert ExecutionConfig(memory=memory).memory_bytes == n_bytes
