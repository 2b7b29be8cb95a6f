"""`submit`: scripts handed to SLURM, and products equal to those of a serial run.

The last tests start a private SLURM; where that is impossible, they are skipped with
the reason.
"""

import json
import operator
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tests.runner.cluster.one_node_slurm as one_node
from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config, ExecutionConfig
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io.nexus import read_entries
from rixs_pipeline.runner.cluster import submit as slurm
from rixs_pipeline.runner.cluster.submission import SubmittedArray, read_submission
from rixs_pipeline.runner.execution.executor import Executor
from rixs_pipeline.runner.inspect import status as read_status
from rixs_pipeline.runner.results.output_folder import held
from tests.runner.reductions import assert_equal

CLUSTER = {
    "partition": "debug",
    "account": "a.b",
    "walltime": "00:10:00",
    "cpus": 3,
    "memory": "1.5GB",
}


def config(**cluster: object) -> Config:
    return Config.model_validate(
        {"execution": {"scheduler": "slurm", "cluster": cluster}}
    )


RUN = slurm.Step("run", (("run",),), (("a", "b"),))


def out_folder(out: Path) -> Path:
    out.mkdir()
    return out


def scans_of(step: slurm.Step) -> list[str]:
    return [command[command.index("--scans") + 1] for command in step.commands]


# ---- without SLURM


def test_steps_of_a_new_beamtime(small_beamtime, tmp_path):
    out = tmp_path / "out"
    steps = slurm.plan_steps(small_beamtime, config(), out)
    calibrate, leading, others, last = steps
    where = (
        str(small_beamtime),
        *("-c", str(out / "logs" / "config.yaml"), "-o", str(out)),
        *("--scheduler", "auto", "--workers", "2", "--memory", "1GB"),
    )
    assert (calibrate.name, calibrate.commands) == (
        "calibrate",
        (("calibrate", *where),),
    )
    assert (last.name, last.commands) == ("run", (("run", *where),))
    assert calibrate.products == (("cal0000", "cal0005", "references"),)
    assert leading.products == (("scan0001",), ("scan0003",))
    assert others.products == (("scan0002",), ("scan0004",))
    assert {"LMR_RT-Co_L", "LMR_RT-Co_L spectra", "cal0000 figures"} <= set(
        last.products[0]
    )
    assert all(len(step.products) == len(step.commands) for step in steps)
    assert (leading.name, scans_of(leading)) == ("leading", ["scan0001", "scan0003"])
    assert (others.name, scans_of(others)) == ("bin", ["scan0002", "scan0004"])
    assert not out.exists(), "a plan leaves no trace"


def test_several_scans_in_a_job(small_beamtime, tmp_path):
    _, leading, others, _ = slurm.plan_steps(
        small_beamtime, config(scans_per_job=2), tmp_path / "out"
    )
    assert (scans_of(leading), scans_of(others)) == (
        ["scan0001,scan0003"],
        ["scan0002,scan0004"],
    )


def test_an_array_is_never_longer_than_slurm_takes(
    monkeypatch, small_beamtime, tmp_path
):
    monkeypatch.setattr(slurm, "MAX_ARRAY_SIZE", 1)
    _, leading, _, _ = slurm.plan_steps(small_beamtime, config(), tmp_path / "out")
    assert scans_of(leading) == ["scan0001,scan0003"]


def test_only_stale_products_are_submitted(small):
    assert [
        step.name for step in slurm.plan_steps(small.beamtime, config(), small.out)
    ] == ["run"], "the figures"
    (small.out / "scans" / "scan0004.nxs").unlink()
    steps = slurm.plan_steps(small.beamtime, config(), small.out)
    assert [(step.name, len(step.commands)) for step in steps] == [
        ("bin", 1),
        ("run", 1),
    ]
    assert scans_of(steps[0]) == ["scan0004"]
    (small.out / "calibration" / "cal0000.nxs").unlink()
    assert slurm.plan_steps(small.beamtime, config(), small.out)[0].name == "calibrate"


def test_script_requests_the_configured_resources(tmp_path):
    step = slurm.Step(
        "bin", (("bin", "/a b/c", "--scans", "1"), ("bin", "/a b/c", "--scans", "2"))
    )
    cluster = CLUSTER | {
        "setup": ["module load python", "export X=1"],
        "options": ["--qos=normal"],
    }
    lines = slurm.batch_script(
        step, config(**cluster), tmp_path / "out 50%"
    ).splitlines()
    asked = [
        line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")
    ]
    wanted = [
        "--array=0-1",
        "--time=00:10:00",
        "--cpus-per-task=3",
        "--mem=1431M",
        "--partition=debug",
        "--requeue",
    ]
    assert {*wanted, "--account=a.b", "--qos=normal"} <= set(asked)
    assert f"'--output={tmp_path}/out 50%%/logs/bin-%A_%a.log'" in asked
    assert (
        lines.index("module load python")
        < lines.index("export X=1")
        < lines.index('case "$SLURM_ARRAY_TASK_ID" in')
    )


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        *(("bin", code, 0) for code in (0, 1, 2, 3, 70)),
        *(("bin", code, code) for code in (4, 137)),
        *(("run", code, code) for code in (0, 1, 2, 3, 70)),
    ],
)
def test_runs_that_failed_do_not_stop_the_others(
    monkeypatch, tmp_path, name, code, expected
):
    """Elements run their own commands; only the last job has exit code 1 (failures)."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$5 $6"\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setattr(slurm.sys, "executable", str(program))
    step = slurm.Step(name, (("bin", "a"), ("bin", "b  c")))
    path = tmp_path / "script"
    path.write_text(slurm.batch_script(step, config(), tmp_path))
    assert f"{program} -P -m rixs_pipeline " in path.read_text()
    done = subprocess.run(
        ["bash", path], env={"SLURM_ARRAY_TASK_ID": "1"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (expected, "b  c \n", "")


def test_dry_run_prints_the_scripts(cli, small, tmp_path):
    (small.out / "scans" / "scan0004.nxs").unlink()
    before = sorted(small.out.rglob("*"))
    said = cli("submit", small.beamtime, "-o", small.out, "--dry-run")
    assert said.code == 0 and said.out.count("#!/bin/bash") == 2
    told = json.loads(
        cli("submit", small.beamtime, "-o", small.out, "--dry-run", "--json").out
    )
    assert [one["step"] for one in told["scripts"]] == ["bin", "run"]
    for one in told["scripts"]:
        assert (
            subprocess.run(["bash", "-n"], input=one["script"], text=True).returncode
            == 0
        )
    assert sorted(small.out.rglob("*")) == before


def test_without_sbatch(cli, small, monkeypatch):
    monkeypatch.setenv("PATH", "")
    said = cli("submit", small.beamtime, "-o", small.out)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith(
        "rixs-pipeline: submit: sbatch not found; "
    )


def test_slurm_rejection_is_one_line(slurm_command, tmp_path):
    slurm_command("squeue", "true")
    slurm_command(
        "sbatch", "echo 'sbatch: error: invalid partition\nsbatch: no' >&2\nexit 1"
    )
    with pytest.raises(
        RixsError,
        match=r"^sbatch: sbatch: error: invalid partition sbatch: no; "
        r"see `execution\.cluster`",
    ):
        slurm.submit(tmp_path, [RUN], config(), tmp_path / "out")
    assert read_submission(tmp_path / "out") is None


def test_jobs_are_kept_with_the_results(slurm_command, tmp_path):
    slurm_command("squeue", "true")
    slurm_command("sbatch", f"cat >> {tmp_path}/scripts; echo 17")
    out, steps = tmp_path / "out", [RUN, RUN]
    with held(out_folder(out), config(), tmp_path):
        jobs = slurm.submit(tmp_path, steps, config(setup=["echo a"]), out)
    assert [job.number for job in jobs] == [17, 17]
    submission = read_submission(out)
    assert submission.beamtime == str(tmp_path)
    assert submission.arrays == (SubmittedArray("run", 17, (("a", "b"),)),) * 2
    script = (out / "logs" / "run.sh").read_text()
    assert (tmp_path / "scripts").read_text() == script * 2
    for path in (out / "config.yaml", out / "logs" / "config.yaml"):
        assert load_config(path) == Config()


def test_a_folder_that_another_config_uses_is_refused(slurm_command, tmp_path):
    slurm_command("squeue", "true")
    slurm_command("sbatch", "echo 17")
    other = Config.model_validate({"map": {"step": 0.9}})
    with (
        held(out_folder(tmp_path / "out"), other, tmp_path),
        pytest.raises(UsageError, match="in use by a reduction with another config"),
    ):
        slurm.submit(tmp_path, [RUN], config(), tmp_path / "out")


def test_a_submission_that_is_refused_half_way_is_cancelled(slurm_command, tmp_path):
    slurm_command("squeue", "true")
    slurm_command("scancel", f"echo $* > {tmp_path}/cancelled")
    slurm_command("sbatch", f"mkdir {tmp_path}/first 2>&1 || exit 1; echo 17")
    with pytest.raises(RixsError, match="sbatch"):
        slurm.submit(tmp_path, [RUN, RUN], config(), tmp_path / "out")
    assert (tmp_path / "cancelled").read_text() == "17\n"


# ---- with SLURM


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory) -> Iterator[Path]:
    """The config file of a SLURM that is up."""
    reason = one_node.why_not()
    if reason:
        pytest.skip(f"no SLURM to test against: {reason}")
    with one_node.running(tmp_path_factory.mktemp("slurm")) as path:
        yield path


@pytest.fixture
def queue(slurm_conf, monkeypatch) -> Iterator[Callable[[], list[str]]]:
    """What is in the queue: job numbers."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))

    def jobs() -> list[str]:
        told = subprocess.run(
            ["squeue", "-h", "-o", "%A"], capture_output=True, text=True, check=True
        )
        return sorted(set(told.stdout.split()), key=int)

    yield jobs
    if left := jobs():
        subprocess.run(
            ["scancel", *left], check=False
        )  # some may have ended by themselves just now


def wait(
    what: Callable[[], object], seconds: float = 150.0, interval: float = 0.2
) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "SLURM took too long"
        time.sleep(interval)


def counts(out: Path) -> dict[str, np.ndarray]:
    found = sorted([*(out / "scans").glob("*.nxs"), *(out / "maps").glob("*.nxs")])
    return {
        str(path.relative_to(out)): open_product(path)["counts"].values
        for path in found
    }


def assert_equal_counts(found: Path, expected: Path) -> None:
    first, second = counts(found), counts(expected)
    assert first.keys() == second.keys() and len(first) == 6
    for name, values in first.items():
        assert values.sum() > 0
        np.testing.assert_array_equal(values, second[name])


def numbers(said) -> dict[str, int]:
    assert said.code == 0, said.err
    return {job["step"]: job["number"] for job in json.loads(said.out)["jobs"]}


@pytest.mark.slow
def test_slurm_products_equal_those_of_a_serial_run(
    queue, cli, small_beamtime, reduced_small, tmp_path, record_property, command_line
):
    """A cancelled and resubmitted reduction resumes and gives the serial counts."""
    out, settings = tmp_path / "out 50%", tmp_path / "config.yaml"
    cluster = {
        "partition": "debug",
        "cpus": 1,
        "memory": "500MB",
        "walltime": "00:10:00",
        "setup": ["echo prepared"],
    }
    settings.write_text(json.dumps({"execution": {"cluster": cluster}}))
    first = numbers(
        cli("submit", small_beamtime, "--site", settings, "-o", out, "--json")
    )
    assert list(first) == ["calibrate", "leading", "bin", "run"]
    said = cli("submit", small_beamtime, "--site", settings, "-o", out)
    assert said.code == 2 and "still in the queue" in said.err

    wait(lambda: (out / "scans").is_dir() and list((out / "scans").glob("*.nxs")))
    subprocess.run(["scancel", *queue()], check=True)
    wait(lambda: not queue())
    second = numbers(
        cli("submit", small_beamtime, "--site", settings, "-o", out, "--json")
    )
    assert "calibrate" not in second, "what was finished is kept"
    wait(lambda: not queue())
    record_property("slurm", f"submit: jobs {first}, stopped; again: jobs {second}")

    log = (out / "logs" / f"run-{second['run']}_0.log").read_text()
    assert log.startswith("prepared\n") and f"results: {out}" in log
    assert_equal_counts(out, reduced_small)
    summary = json.loads((out / "run.json").read_text())
    assert summary["failed"] == {}
    assert not any(
        name.startswith(("calibration/", "scans/")) for name in summary["executed"]
    ), "the last job adds up"
    assert all(summary["items"][f"scan000{n}"]["photons"] > 0 for n in (1, 2, 3, 4)), (
        "no job forgot another one's facts"
    )
    assert (
        cli("submit", small_beamtime, "--site", settings, "-o", out).out
        == "all products are up to date; nothing to submit\n"
    )


def count_holders(out: Path) -> int:
    """Return how many processes on this machine hold a folder of results."""
    file = out / paths.OWNER_FILE
    if not file.exists():
        return 0
    inode = f":{file.stat().st_ino} "
    locks = Path("/proc/locks").read_text().splitlines()
    return sum("FLOCK" in line and inode in line for line in locks)


# the two elements of an array wait for each other before they begin
TOGETHER = (
    "case $SLURM_JOB_NAME in rixs-leading*|rixs-bin*) "
    "touch {0}/$SLURM_JOB_NAME-$SLURM_ARRAY_TASK_ID; "
    "while [ $(ls {0} | grep -c $SLURM_JOB_NAME) -lt 2 ]; do sleep 0.1; done;; esac"
)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="two jobs at once need two cores")
def test_jobs_of_an_array_run_at_once_in_one_folder(
    queue, cli, small_beamtime, reduced_small, tmp_path, record_property
):
    """They share the folder, refuse another config, and give what `run` gives."""
    out, meeting, other = tmp_path / "out", tmp_path / "meeting", tmp_path / "c.yaml"
    meeting.mkdir()
    other.write_text("map: {step: 0.9}\n")
    cluster = {"cpus": 1, "memory": "500MB", "walltime": "00:10:00"}
    cluster["setup"] = [TOGETHER.format(meeting)]
    site = tmp_path / "site.yaml"
    site.write_text(json.dumps({"execution": {"cluster": cluster}}))
    first = numbers(cli("submit", small_beamtime, "--site", site, "-o", out, "--json"))
    states = read_status(out).states
    assert re.match(r"(queued|running) \(job", states["cal0000"])
    assert re.match(rf"queued \(job {first['bin']}_1\b", states["scan0004"])
    holders = []

    def has_ended() -> bool:
        holders.append(count_holders(out))
        return not queue()

    with held(out, Config(), small_beamtime):
        refused = cli("run", small_beamtime, "-c", other, "-o", out)
        assert refused.code == 2 and "in use by a reduction with another conf" in (
            refused.err
        )
        wait(has_ended, interval=0.05)
    assert len(list(meeting.iterdir())) == 4
    assert max(holders) == 3, "two jobs and this test"
    record_property("slurm", f"two jobs at once in one folder: jobs {first}")
    assert_equal_counts(out, reduced_small)
    for path in sorted(reduced_small.rglob("*.nxs")):
        entries = read_entries(path)
        for name, dataset in read_entries(
            out / path.relative_to(reduced_small)
        ).items():
            assert_equal(dataset, entries[name])
    summary = json.loads((out / "run.json").read_text())
    assert summary["failed"] == {}
    assert all(summary["items"][f"scan000{n}"]["photons"] > 0 for n in (1, 2, 3, 4))
    assert set(read_status(out).states) == set(states)


@pytest.mark.slow
def test_a_scan_that_vanished_and_a_job_that_was_cancelled_are_one_line_each(
    queue, cli, small, tmp_path
):
    shutil.rmtree(small.out)
    site = tmp_path / "site.yaml"
    cluster = {"cpus": 1, "memory": "500MB", "walltime": "00:10:00"}
    site.write_text(json.dumps({"execution": {"cluster": cluster}}))
    submitted = cli("submit", small.beamtime, "--site", site, "-o", small.out, "--json")
    jobs = numbers(submitted)
    small.log(4).unlink()
    wait(lambda: not queue())
    status = read_status(small.out).states
    assert status["scan0002"].startswith("fresh")
    assert status["LMR_100C-Co_L"].startswith("fresh"), "the last step did run"
    (line,) = status["scan0004"].splitlines()
    assert f"job {jobs['bin']}_1 ended without a product, see {small.out}" in line
    assert "'scan0004' matches no scan" in line

    (small.out / "scans" / "scan0002.nxs").unlink()
    (small.out / "scans" / "scan0001.nxs").unlink()
    cluster["setup"] = ["case $SLURM_JOB_NAME in rixs-leading*) sleep 600;; esac"]
    site.write_text(json.dumps({"execution": {"cluster": cluster}}))
    jobs = numbers(
        cli("submit", small.beamtime, "--site", site, "-o", small.out, "--json")
    )
    log = small.out / "logs" / f"leading-{jobs['leading']}_0.log"
    wait(log.exists)
    subprocess.run(["scancel", str(jobs["leading"])], check=True)
    wait(lambda: not queue())
    status = read_status(small.out).states
    assert re.search(
        rf"job {jobs['leading']}_0 ended without a product, see {log}: slurmstepd.*"
        r"CANCELLED AT",
        status["scan0001"],
    )
    assert f"job {jobs['bin']}_0 did not start" in status["scan0002"]


@pytest.mark.slow
def test_workers_as_slurm_jobs(
    queue, small_beamtime, reduced_small, tmp_path, record_property, command_line
):
    for name in ("dask_jobqueue", "cryptography"):
        pytest.importorskip(name, reason="pip install 'rixs-pipeline[slurm]'")
    settings = tmp_path / "config.yaml"
    settings.write_text(
        json.dumps(
            {"execution": {"memory": "500MB", "cluster": {"walltime": "00:10:00"}}}
        )
    )
    arguments = ("extract", small_beamtime, "--site", settings, "-o", tmp_path / "out")
    done = command_line(*arguments, "--scheduler", "slurm", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "distributed" not in done.stderr and "Scheduler" not in done.stderr, (
        "only what concerns the user is told"
    )
    assert_equal_counts(tmp_path / "out", reduced_small)
    jobs = sorted(
        path.stem.rpartition("-")[2]
        for path in (tmp_path / "out" / "logs").glob("dask-worker-*.err")
    )
    assert jobs
    record_property("slurm", f"--scheduler slurm: jobs {', '.join(jobs)}")
    wait(lambda: not queue())


@pytest.mark.slow
def test_a_slurm_worker_that_dies_is_replaced(queue, tmp_path, record_property):
    for name in ("dask_jobqueue", "cryptography"):
        pytest.importorskip(name, reason="pip install 'rixs-pipeline[slurm]'")
    settings = ExecutionConfig.model_validate(
        {"scheduler": "slurm", "workers": 2, "memory": "500MB"}
    )
    seen: set[str] = set()
    with Executor(settings, tmp_path / "logs") as executor:
        naps = [[f"sleep 0.3; exit {k}"] * 4 for k in range(15)]
        outcomes = executor.map_reduce(
            partial(subprocess.call, shell=True), naps, operator.add
        )
        results = [next(outcomes).unwrap()]
        wait(lambda: len(queue()) == 2)
        seen |= set(queue())
        subprocess.run(["scancel", queue()[0]], check=True)
        for outcome in outcomes:
            results.append(outcome.unwrap())
            seen |= set(queue())
    record_property(
        "slurm", f"a worker cancelled: jobs {', '.join(sorted(seen, key=int))}"
    )
    assert results == [4 * k for k in range(15)]
    assert len(seen) >= 3
