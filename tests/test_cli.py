"""The command line: verbs, exit codes, and one-line messages for all user errors."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rixs_pipeline
from rixs_pipeline import cli as cli_module
from rixs_pipeline import interrupt
from rixs_pipeline.runner import run as runner
from tests.conftest import CHECKOUT
from tests.faults.logs import forget_labels
from tests.without_figures import leave_out_figures

VERBS = [
    "run",
    "inspect",
    "init",
    "calibrate",
    "bin",
    "extract",
    "report",
    "status",
    "figures",
    "export",
    "watch",
    "simulate",
]
HEAVY = (
    "numpy",
    "scipy",
    "xarray",
    "pandas",
    "h5py",
    "dask",
    "distributed",
    "matplotlib",
    "ruamel",
    "numba",
)


def error_line(result):
    """Return the message of an error, which is a single line."""
    lines = result.err.splitlines()
    assert (
        len(lines) == 1 and lines[0].startswith("rixs-pipeline: ") and result.out == ""
    ), result
    return lines[0].removeprefix("rixs-pipeline: ")


# ---- light and helpful


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["run", "-h"], ["config", "--help"], ["--version"]],
    ids=str,
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import atexit, sys\n"
        "from rixs_pipeline.cli import main\n"
        "sys.argv = ['rixs-pipeline', *sys.argv[1:]]\n"
        f"heavy = set({HEAVY!r})\n"
        "loaded = lambda: sorted(name for name in heavy if sys.modules.get(name))\n"
        "atexit.register(lambda: print('LOADED', *loaded()))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    *text, loaded = done.stdout.splitlines()
    assert loaded == "LOADED" and text


def test_run_avoids_slow_imports(small_beamtime, tmp_path):
    """Each of these takes 0.1 to 1 s to import; xarray would import dask and pint."""
    slow = (
        "scipy.stats",
        "dask",
        "pint",
        "distributed",
        "matplotlib.pyplot",
        "IPython",
    )
    code = (
        "import atexit, sys\n"
        "from rixs_pipeline.cli import main\n"
        "sys.argv = ['rixs-pipeline', *sys.argv[1:]]\n"
        f"slow = set({slow!r})\n"
        "loaded = lambda: sorted(name for name in slow if sys.modules.get(name))\n"
        "atexit.register(lambda: print('LOADED', *loaded()))\n"
        "main()"
    )
    arguments = [
        "run",
        str(small_beamtime),
        "-o",
        str(tmp_path / "out"),
        "--scheduler",
        "serial",
        "-q",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_every_verb_has_help(cli):
    text = cli("--help").out
    for verb in VERBS:
        assert f" {verb} " in text
        assert cli(verb, "--help").code == 0
    for verb in ("show", "check", "schema"):
        assert cli("config", verb, "-h").code == 0


def test_module_runs_as_command(command_line):
    done = command_line("--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{rixs_pipeline.__version__}\n",
        "",
    )


def test_without_arguments_the_help_is_shown(cli):
    for arguments in ([], ["config"]):
        result = cli(*arguments)
        assert result.code == 2 and "Usage" in result.out and result.err == ""


# ---- usage and config: 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["run"], "Missing argument"),
        (["run", "{beamtime}", "--nosuch"], "No such option: --nosuch"),
        (
            ["run", "{beamtime}", "--until", "lunch"],
            "--until lunch: no such stage; choose from calibrate, bin",
        ),
        (
            ["run", "{beamtime}", "--until", ""],
            "--until : no such stage; choose from calibrate, bin",
        ),
        (
            ["run", "--from", "{out}/run.json", "--until", ""],
            "--from: the config, --scans and --until are those of the record",
        ),
        (
            ["run", "{beamtime}", "--scans", "99"],
            "--scans 99: '99' matches no scan; available: scan0001, scan0002",
        ),
        (
            ["run", "{beamtime}", "--scheduler", "lightning"],
            "command line: execution.scheduler",
        ),
        (["run", "{beamtime}", "--workers", "0"], "execution.workers"),
        (["run", "{beamtime}", "--workers", "two"], "--workers"),
        (["run", "{beamtime}", "--memory", "lots"], "execution.memory"),
        (["run", "{beamtime}", "-c", "{tmp}/none.yaml"], "none.yaml"),
        (["watch", "{beamtime}", "--every", "0"], "--every"),
        (
            ["export", "{out}", "--format", "pdf"],
            "unknown export format 'pdf'; choose from xdi, athena, csv, nexus",
        ),
        (["export", "{out}", "--format", ","], "unknown export format"),
        (["simulate", "{tmp}/new", "--preset", "big"], "unknown preset 'big'"),
        (["simulate", "{tmp}/new", "--pixels", "-3"], "simulate: pixels"),
        (["simulate", "{beamtime}"], "empty"),
        (["config", "check", "{tmp}/none.yaml"], "none.yaml"),
    ],
    ids=lambda value: (
        " ".join(value).replace("{", "").replace("}", "")
        if isinstance(value, list)
        else ""
    ),
)
def test_invalid_command_lines_are_rejected(
    cli, small_beamtime, reduced_small, tmp_path, arguments, expected
):
    places = {"beamtime": small_beamtime, "out": reduced_small, "tmp": tmp_path}
    arguments = [part.format(**places) for part in arguments]
    if arguments[0] == "run":
        arguments += ["-o", str(tmp_path / "out")]
    result = cli(*arguments)
    assert result.code == 2 and expected in error_line(result)
    assert not (tmp_path / "out" / "run.json").exists()


VERBS_OF_RESULTS = {
    "status": (),
    "export": (),
    "figures": ("--pixel", "1"),
    "crate": ("-o", "results.zip"),
    "diff": (".",),
}


@pytest.mark.parametrize(
    ("verb", "options"), VERBS_OF_RESULTS.items(), ids=VERBS_OF_RESULTS
)
@pytest.mark.parametrize("what", ["nothing", "file", "empty", "text"])
def test_a_folder_that_has_no_results_is_rejected(cli, tmp_path, verb, options, what):
    place = tmp_path / "there"
    if what == "file":
        place.write_text("text\n")
    elif what != "nothing":
        place.mkdir()
    if what == "text":
        (place / "config.yaml").write_text("map: {step: 1.0}\n")
    result = cli(verb, place, *options)
    assert (result.code, error_line(result)) == (
        2,
        f"{place}: not a folder of results (no run.json); give the folder that `run` "
        "wrote with -o",
    )
    assert [path.name for path in tmp_path.iterdir()] == (
        [] if what == "nothing" else ["there"]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "map:\n  stepp: 1\n",
            r"c\.yaml:2: map\.stepp: unknown key \(did you mean 'step'\?\)",
        ),
        (
            "map:\n  step: 0.5 keV\n",
            r"c\.yaml:2: map\.step: .* without unit, not '0\.5 keV'",
        ),
        ("map: {emission: [900, 200]}\n", r"c\.yaml:1: map"),
        (
            "calibration: {lines: [C_Ka, Qq_La, O_Ka]}\n",
            r"c\.yaml:1: calibration\.lines\.1: no line 'Qq_La' in srd128",
        ),
        (
            "calibration: {lines: [C_Ka, O_Ka]}\n",
            r"c\.yaml:1: calibration\.lines: .*at least 3",
        ),
        (
            "calibration: {reference: nosuch}\n",
            r"c\.yaml:1: calibration\.reference: .*nosuch",
        ),
        ("regions:\n  A:\n    kind: pie\n", r"c\.yaml:3: regions\.A\.kind"),
        ("regions: {A: {kind: pfy}, A: {kind: tfy}}\n", r"c\.yaml:1"),
        ("map: [\n", r"c\.yaml:\d"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "config check"])
def test_config_errors_have_file_line_and_key(
    cli, small_beamtime, tmp_path, verb, text, expected
):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    out = tmp_path / "out"
    result = (
        cli("config", "check", path)
        if "check" in verb
        else cli("run", small_beamtime, "-c", path, "-o", out)
    )
    assert result.code == 2 and re.search(expected, error_line(result)), result.err
    assert not out.exists()


@pytest.mark.parametrize("verb", ["run", "bin", "watch", "submit"])
def test_commands_in_the_config_of_a_beamtime_are_refused(
    cli, small_beamtime, tmp_path, verb
):
    path, mark = tmp_path / "c.yaml", tmp_path / "mark"
    path.write_text(f"execution: {{cluster: {{setup: ['touch {mark}']}}}}\n")
    result = cli(verb, small_beamtime, "-c", path, "-o", tmp_path / "out")
    assert result.code == 2
    expected = f"{path}:1: execution.cluster.setup: runs shell commands; move it to "
    assert expected in error_line(result)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_trusted_config_may_have_commands(cli, small_beamtime, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("execution: {cluster: {setup: [echo prepared]}}\n")
    plan = ("submit", small_beamtime, "-o", tmp_path / "out", "--dry-run")
    for options in (("-c", path, "--trust"), ("--site", path)):
        result = cli(*plan, *options)
        assert result.code == 0 and "\necho prepared\n" in result.out
    assert cli("config", "check", path).code == 2
    assert cli("config", "check", path, "--trust").code == 0
    assert "echo prepared" in cli("config", "show", "-c", path).out


def test_each_config_error_has_its_own_line(cli, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("map:\n  stepp: 1\n  emission: 7\n")
    result = cli("config", "check", path)
    assert result.code == 2 and len(result.err.splitlines()) == 2


def test_output_folder_that_cannot_be_created_is_reported(
    cli, small_beamtime, tmp_path
):
    (tmp_path / "file").write_text("")
    for out in ("file", "file/below"):
        result = cli("run", small_beamtime, "-o", tmp_path / out)
        assert result.code == 2 and "cannot create the folder" in last_error_line(
            result
        )
    for dry_run in ([], ["--dry-run"]):
        result = cli("run", small_beamtime, "-o", small_beamtime, *dry_run)
        assert result.code == 2
        assert "is the beamtime directory" in last_error_line(result)
    assert not (small_beamtime / "run.json").exists()


def last_error_line(result):
    """Return the error message, which may follow messages about the beamtime."""
    errors = [
        line for line in result.err.splitlines() if line.startswith("rixs-pipeline: ")
    ]
    assert len(errors) == 1
    return errors[0]


# ---- input: 3


@pytest.mark.parametrize("verb", ["run", "inspect", "init", "bin"])
@pytest.mark.parametrize("what", ["nothing", "file", "empty", "text"])
def test_unusable_input_is_reported(cli, tmp_path, monkeypatch, verb, what):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "there"
    if what == "file":
        place.write_text("text\n")
    elif what != "nothing":
        place.mkdir()
    if what == "text":
        (place / "notes.txt").write_text("scan 1 was good\n")
    result = cli(verb, place)
    assert result.code == 3
    expected = (
        "not a directory"
        if what in ("nothing", "file")
        else "no usable scan or reference run"
    )
    assert f"{place}: {expected}" in error_line(result)
    assert [p.name for p in tmp_path.iterdir()] == (
        ["there"] if what != "nothing" else []
    )


@pytest.mark.parametrize(
    ("verb", "options"), VERBS_OF_RESULTS.items(), ids=VERBS_OF_RESULTS
)
def test_results_of_a_first_reduction_that_has_not_ended_are_reported(
    cli, tmp_path, verb, options
):
    (tmp_path / ".owner.json").write_text("{}")
    result = cli(verb, tmp_path, *options)
    assert result.code == 3 and str(tmp_path) in error_line(result)
    assert f"-o {tmp_path}" in error_line(result)


def test_full_disk_and_internal_errors_are_one_line(
    cli, monkeypatch, small_beamtime, tmp_path
):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "out/run.json")

    def defect(*_, **__):
        raise IndexError("17")

    monkeypatch.setattr(runner, "run", full)
    result = cli("run", small_beamtime)
    assert (
        result.code == 3
        and error_line(result)
        == "out/run.json: No space left on device; make room and repeat the command: "
        "finished products are kept"
    )
    monkeypatch.setattr(runner, "run", defect)
    with pytest.raises(
        AssertionError, match="internal error: IndexError: 17"
    ):  # what `cli` never allows
        cli("run", small_beamtime)


# ---- interrupted: 4


def test_interrupted_reduction_leaves_complete_files_and_can_resume(small):
    for path in small.out.rglob("*.nxs"):
        path.unlink()
    command = [
        sys.executable,
        "-m",
        "rixs_pipeline",
        "extract",
        str(small.beamtime),
        "-o",
        str(small.out),
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if line.startswith("wrote"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "Traceback" not in err and err.splitlines()[-1].startswith(
        "rixs-pipeline: interrupted"
    )
    files = [path for path in small.out.rglob("*") if path.is_file()]
    assert all(
        path.suffix in (".nxs", ".npz", ".csv", ".json", ".jsonl", ".yaml")
        or path.name == ".lock"
        for path in files
    )
    kept = [path for path in files if path.suffix == ".nxs"]
    assert 0 < len(kept) < 10
    for path in kept:
        rixs_pipeline.open_product(path)
    summary = small.run()
    assert summary.exit_code == 0
    assert sum(name.endswith(".nxs") for name in summary.executed) == 10 - len(kept)


def test_interrupt_before_the_first_product(cli, monkeypatch, small_beamtime):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    result = cli("run", small_beamtime)
    assert result.code == 4 and error_line(result).startswith(
        "interrupted; finished products are kept"
    )
    monkeypatch.setattr(cli_module, "app", interrupted)
    assert cli("run", small_beamtime).code == 4


# ---- done: 0, some failed: 1


def test_run_prints_the_output_folder(cli, small):
    result = cli("extract", small.beamtime, "-o", small.out)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[:2] for line in lines[4:6]] == [
        ["LMR_RT-Co_L", "2"],
        ["LMR_100C-Co_L", "2"],
    ]
    assert [*lines[:4], *lines[6:]] == [
        "4 of 4 scans, 3 of 3 live pixels, 2 maps",
        "11 fresh",
        "elastic line not fitted in 4 of 4 scans: their incident energies are those of "
        "the logs, unchecked",
        "sample-edge    scans  photons  pixels  p of passes",
        f"results: {small.out}, summary: {small.out / 'run.json'}",
    ]
    content = json.loads(cli("extract", small.beamtime, "-o", small.out, "--json").out)
    assert content["executed"] == [] and content["failed"] == {}
    run = json.loads((small.out / "run.json").read_text())
    assert (
        run["command"]
        == f"rixs-pipeline extract {small.beamtime} -o {small.out} --json"
    )


def test_failed_scan_is_listed_at_the_end(cli, small):
    log = json.loads(small.log(3).read_text())
    for name in ("epoch_time_start_s", "epoch_time_end_s"):
        log[name] = [second + 86400 for second in log[name]]
    small.log(3).write_text(json.dumps(log))
    forget_labels(small.beamtime, "SCAN3")
    result = cli("extract", small.beamtime, "-o", small.out)
    assert result.code == 1
    assert "scan0003: has no pulse files" in result.err.splitlines()
    assert [
        line
        for line in result.out.splitlines()
        if line == "lost: scan0003: has no pulse files"
    ]
    assert cli("extract", small.beamtime, "-o", small.out, "-q").err.splitlines() == [
        "scan0003: has no pulse files"
    ]
    status = json.loads(cli("status", small.out, "--json").out)
    assert status["scan0003"]["state"] == "failed"
    assert status["scan0003"]["reason"] == "scan0003: has no pulse files"
    assert status["scan0004"]["state"] == "fresh"


def test_dry_run_lists_stale_products(cli, small):
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    result = cli("extract", small.beamtime, "-o", small.out, "--dry-run")
    assert (result.code, result.out) == (0, "LMR_RT-Co_L\n")
    small.run()
    assert (
        cli("extract", small.beamtime, "-o", small.out, "--dry-run").out
        == "all products are up to date\n"
    )


def test_verbose_and_quiet(cli, small):
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    result = cli("extract", small.beamtime, "-o", small.out)
    assert result.err == f"wrote {small.out / 'maps/LMR_RT-Co_L.nxs'}\n"
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    assert cli("extract", small.beamtime, "-o", small.out, "-q").err == ""
    both = cli("extract", small.beamtime, "-o", small.out, "-q", "-v")
    assert (both.code, both.err.count("\n")) == (2, 1)
    assert "--verbose and --quiet contradict each other" in both.err


@pytest.mark.parametrize("options", ["--speed 3", "--rounds 2 --replay recorded"])
def test_options_of_watch_that_would_be_ignored_are_refused(tmp_path, cli, options):
    watched = cli("watch", tmp_path, *options.split())
    assert watched.code == 2
    assert options.split()[0] in watched.err and "--replay" in watched.err


# ---- the other verbs


def test_status(cli, small):
    small.run()  # its run.json names the copy of the beamtime
    result = cli("status", small.out)
    assert (
        result.code == 0
        and re.search(r"^scan0001 +fresh: pile-up time 0.00", result.out, re.M)
        and result.err == ""
    )
    values = json.loads(cli("status", small.out, "--json").out)
    scan = values["scan0001"]
    assert (scan["state"], scan["reason"]) == ("fresh", "")
    assert scan["photons"] > 100 and scan["pixels_used"] == scan["pixels_live"] == 3
    position, error = scan["line_positions"]["O_Ka"]
    assert position == pytest.approx(525, abs=3) and 0 < error < 1
    assert 0 < values["LMR_RT-Co_L"]["passes"]["p"] <= 1
    assert values["cal0000"]["resolution"][0] > 0
    assert not any("results" in facts for facts in values.values())


@pytest.mark.parametrize(
    ("is_terminal", "environment", "is_coloured"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False)],
)
def test_warnings_are_coloured_on_a_terminal_only(
    monkeypatch, capsys, is_terminal, environment, is_coloured
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    handler = cli_module._StderrHandler()
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        record = logging.LogRecord("x", level, "", 0, "text", None, None)
        handler.emit(record)
    expected = ["text", "\033[33mtext\033[0m", "\033[31mtext\033[0m"]
    lines = capsys.readouterr().err.splitlines()
    assert lines == (expected if is_coloured else ["text"] * 3)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs(monkeypatch, capsys, shell):
    words = "rixs-pipeline repr"
    monkeypatch.setenv("_RIXS_PIPELINE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setattr(sys, "argv", ["rixs-pipeline"])
    # the name of the program has that of a module that `python -m` runs
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
    with pytest.raises(SystemExit) as exit_:
        cli_module.main()
    assert exit_.value.code == 0
    assert "reproduce" in capsys.readouterr().out


def test_status_from_another_folder(cli, small, monkeypatch):
    """run.json names the beamtime so that it is found from another folder."""
    monkeypatch.chdir(small.beamtime.parent)
    assert cli("extract", small.beamtime.name, "-o", "out").code == 0
    monkeypatch.chdir("/")
    result = cli("status", small.out)
    assert (result.code, result.err) == (0, "")


def test_inspect(cli, small_beamtime):
    content = json.loads(cli("inspect", small_beamtime, "--json").out)
    assert [run["name"] for run in content["runs"]] == [
        "cal0000",
        "scan0001",
        "scan0002",
        "scan0003",
        "scan0004",
        "cal0005",
    ]
    assert (
        content["problems"] == []
        and content["runs"][1]["sample"] == "LMR_RT"
        and content["runs"][1]["events"] > 1000
    )
    text = cli("inspect", small_beamtime)
    assert text.code == 0 and "LMR_100C" in text.out and "no problems" in text.out


def test_inspect_applies_corrections_of_the_config(cli, small_beamtime, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "beamtime: {samples: {LMR_RT: pristine}, exclude: {scans: [2]}}\n"
    )
    runs = json.loads(
        cli("inspect", small_beamtime, "-c", tmp_path / "c.yaml", "--json").out
    )["runs"]
    assert [run["sample"] for run in runs if run["kind"] == "scan"] == [
        "pristine",
        "LMR_100C",
        "LMR_100C",
    ]


def test_init_writes_a_config_once(cli, small_beamtime, tmp_path):
    path = tmp_path / "config.yaml"
    assert cli("init", small_beamtime, "-o", path).code == 0
    assert cli("config", "check", path).out == f"{path}: no errors\n"
    written = path.read_text()
    assert "LMR_100C" in written and "Co_PFY" in written
    result = cli("init", small_beamtime, "-o", path)
    assert result.code == 2 and "file exists" in error_line(result)
    path.write_text("map: {step: 1.0}\n")
    assert (
        cli("init", small_beamtime, "-o", path, "--force").code == 0
        and path.read_text() == written
    )
    below_a_file = path / "c.yaml"
    assert cli("init", small_beamtime, "-o", below_a_file).code == 3


def test_init_makes_missing_folders_as_other_verbs_do(cli, small_beamtime, tmp_path):
    path = tmp_path / "a" / "b" / "config.yaml"
    assert cli("init", small_beamtime, "-o", path).code == 0
    assert "Co_PFY" in path.read_text()
    assert cli("init", tmp_path / "none", "-o", tmp_path / "c" / "d.yaml").code != 0
    assert not (tmp_path / "c").exists()


def test_config_show_and_schema(cli, tmp_path):
    site, own = tmp_path / "site.yaml", tmp_path / "own.yaml"
    site.write_text("map: {step: 1.0}\nnormalise: {i0: mesh}\n")
    own.write_text("map: {step: 0.25}\n")
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(cli("config", "show", "-c", own, "--site", site).out)
    assert "step: 0.25" in resolved.read_text() and "i0: mesh" in resolved.read_text()
    assert cli("config", "show", "-c", resolved).out == resolved.read_text()
    schema = json.loads(cli("config", "schema").out)
    assert schema["additionalProperties"] is False and "map" in schema["properties"]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("xdi", "xdi"), ("athena", "dat"), ("csv", "csv"), ("nexus", "nxs")],
)
def test_export(cli, small, name, suffix):
    result = cli("export", small.out, "--format", name)
    written = sorted((small.out / "export" / name).iterdir())
    assert result.code == 0 and sorted(result.out.splitlines()) == [
        str(path) for path in written
    ]
    assert {path.suffix for path in written} == {f".{suffix}"} and written
    if name == "athena":
        assert np.loadtxt(written[0]).shape[0] > 3


def test_export_of_a_sample_and_a_region(cli, small):
    options = ("--samples", "LMR_RT", "--regions", "log_tey, log_tfy")
    assert cli("export", small.out, *options).code == 0
    assert {path.name for path in (small.out / "export/xdi").iterdir()} == {
        "LMR_RT-Co_L-log_tey.xdi",
        "LMR_RT-Co_L-log_tfy.xdi",
    }
    result = cli("export", small.out, "--samples", "LMR")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "no sample 'LMR'; choose from" in result.err


def test_export_of_several_formats(cli, small):
    assert cli("export", small.out, "--format", "csv, xdi").code == 0
    assert {p.name for p in (small.out / "export").iterdir()} == {"csv", "xdi"}


def test_watch_ends_after_the_given_rounds(cli, small, monkeypatch):
    leave_out_figures(monkeypatch)
    started = time.perf_counter()
    assert (
        cli(
            "watch", small.beamtime, "-o", small.out, "--rounds", "2", "--every", "0.1"
        ).code
        == 0
    )
    assert time.perf_counter() - started > 0.1


def test_a_replay_is_watched_to_its_end(cli, small, tmp_path, monkeypatch):
    leave_out_figures(monkeypatch)
    arguments = ["--replay", small.beamtime, "--speed", "1e6", "--every", "0.1"]
    folder, out = tmp_path / "replay", tmp_path / "out of replay"
    assert cli("watch", folder, "-o", out, *arguments).code == 0
    assert sorted(path.name for path in (out / "scans").iterdir()) == sorted(
        path.name for path in (small.out / "scans").iterdir()
    )
    result = cli("watch", small.out, "-o", out, *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "not empty, and not a replay of" in result.err


def test_simulate(cli, tmp_path):
    out = tmp_path / "beamtime"
    result = cli(
        "simulate",
        out,
        "--pixels",
        1,
        "--passes",
        1,
        "--edges",
        "O_K",
        "--seed",
        3,
        "--rate",
        1,
    )
    assert (
        result.code == 0
        and result.out == f"wrote {out}; reduce it with: rixs-pipeline run {out}\n"
    )
    runs = json.loads(cli("inspect", out, "--json").out)["runs"]
    assert {run["edge"] for run in runs if run["kind"] == "scan"} == {"O_K"} and runs[
        0
    ]["pixels"] == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes files")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_output_is_no_error(small_beamtime, tmp_path, closed):
    out = tmp_path / "out"
    run = f"run {small_beamtime} -o {out} --until calibrate --dry-run"
    command = f"{sys.executable} -m rixs_pipeline {run} {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="a shell with pipes")
def test_closed_pipe_is_no_error(small_beamtime):
    command = (
        f"{sys.executable} -m rixs_pipeline inspect {small_beamtime} --json | head -c 1"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{", "")


def test_scripts_of_the_current_folder_are_not_imported(small_beamtime, tmp_path):
    """Processes that Python starts for itself look there first."""
    start = tmp_path / "rixs-pipeline"  # as pip makes it
    start.write_text(
        "from rixs_pipeline.__main__ import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    folder = tmp_path / "analysis"
    folder.mkdir()
    for name in ("signal", "queue", "decimal"):
        (folder / f"{name}.py").write_text("open('imported', 'w')\n1 / 0\n")
    (folder / "config.yaml").write_text("regions: {TFY: {edge: Co_L, kind: tfy}}\n")
    arguments = ["run", small_beamtime, "-c", "config.yaml", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, start, *arguments, "--scheduler", "processes"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "imported").exists()


def test_another_error_of_an_interrupt_is_an_interrupt(monkeypatch, capsys):
    """A file that is being written to an archive cannot be left by an exception."""

    def interrupted(*_, **__):
        monkeypatch.setattr(interrupt, "_requested", True)
        raise ValueError("Can't close the ZIP file")

    monkeypatch.setattr(cli_module, "app", interrupted)
    with pytest.raises(SystemExit) as exit_:
        cli_module.main()
    assert exit_.value.code == interrupt.EXIT_CODE
    assert capsys.readouterr().err.startswith("rixs-pipeline: interrupted;")
