import pytest

from rixs_pipeline.config import ExecutionConfig, memory_in_bytes
from rixs_pipeline.config.execution import ClusterConfig
from tests.config.helpers import assert_invalid


@pytest.mark.parametrize(
    "scheduler",
    ["serial", "threads", "processes", "slurm", "tcp://10.0.0.1:8786", "tls://a:1"],
)
def test_schedulers(scheduler: str) -> None:
    assert ExecutionConfig(scheduler=scheduler).scheduler == scheduler


@pytest.mark.parametrize(
    "values",
    [
        {"scheduler": "dask"},
        {"scheduler": "tcp://"},
        {"scheduler": "tcp://10.0.0.1"},
        {"scheduler": "tcp://10.0.0.1:http"},
        {"workers": 0},
        {"memory": "1"},
        {"cluster": {"walltime": "two hours"}},
        {"cluster": {"longest_wait": "99999:00"}},
        {"cluster": {"dashboard": 0}},
        {"cluster": {"setup": ["module load python\nrm -r x"]}},
        {"cluster": {"partition": "debug\nrm -r x"}},
        {"cluster": {"partition": "debug --output=x"}},
        {"cluster": {"account": "--output=x"}},
    ],
)
def test_invalid_options_are_errors(values: dict[str, object]) -> None:
    assert_invalid(ExecutionConfig, values)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("00:25", 25),
        ("90:00", 5400),
        ("02:03:04", 7384),
        ("1-02:03", 93780),
        ("1-00:00:01", 86401),
    ],
)
def test_durations_are_those_of_sbatch(duration: str, seconds: int) -> None:
    assert ClusterConfig(longest_wait=duration).longest_wait_s == seconds
    assert ClusterConfig(walltime=duration).walltime == duration


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
