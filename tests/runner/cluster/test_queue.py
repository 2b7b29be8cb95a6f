"""Commands of SLURM, played by scripts."""

import pytest

from rixs_pipeline.errors import RixsError
from rixs_pipeline.runner.cluster.queue import (
    QueuedJob,
    has_queue,
    read_queue,
    run_slurm,
)


def test_elements_of_arrays_are_listed_with_state_and_reason(slurm_command):
    slurm_command(
        "squeue",
        'echo "$@" >&2; echo "12_3|PENDING|Resources"; echo "12_4|RUNNING|None"; '
        'echo "13|COMPLETING|"; echo "14_0|SUSPENDED|(null)"; '
        'echo "15|PENDING|A | B"',
    )
    assert has_queue()
    assert read_queue("--name=a,b") == {
        "12_3": QueuedJob("12_3", "queued", "Resources"),
        "12_4": QueuedJob("12_4", "running", ""),
        "13": QueuedJob("13", "running", ""),
        "14_0": QueuedJob("14_0", "suspended", ""),
        "15": QueuedJob("15", "queued", "A | B"),
    }
    assert read_queue("--name=a")["12_3"].in_words == "queued (Resources)"
    assert read_queue("--name=a")["12_4"].in_words == "running"


def test_without_slurm(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert not has_queue()


def test_a_failure_is_one_line(slurm_command):
    slurm_command("squeue", 'echo "squeue: error: no\ncontroller" >&2; exit 1')
    with pytest.raises(RixsError, match=r"^squeue: squeue: error: no controller; see"):
        read_queue("--name=a")
    fatal = "fatal: Could not establish a configuration source"
    slurm_command("squeue", f'echo "{fatal}" >&2; exit 1')
    with pytest.raises(RixsError, match="source; SLURM does not answer here; use a lo"):
        read_queue("--name=a")
    slurm_command("scancel", "exit 3")
    with pytest.raises(RixsError, match=r"^scancel: exit code 3; see"):
        run_slurm("scancel", "12")


def test_a_command_gets_its_input(slurm_command):
    slurm_command("sbatch", "cat")
    assert run_slurm("sbatch", text="script\n") == "script\n"
