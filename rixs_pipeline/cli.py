"""The command line: parse, call, print. No logic, and nothing heavy imported before a command needs it."""

import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError, RixsError, UsageError
from rixs_pipeline.progress import CLEAR

if TYPE_CHECKING:
    from rixs_pipeline.config.models import Config
    from rixs_pipeline.runner.summary import Summary

app = typer.Typer(
    name="rixs-pipeline",
    help="From the pulses of a TES spectrometer to calibrated RIXS maps and spectra with honest errors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(
    help="The config: show it resolved, check it, print its JSON schema.",
    no_args_is_help=True,
)
app.add_typer(config_app, name="config")

INTERRUPTED = 4
_BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

log = logging.getLogger("rixs_pipeline")

_CLICK_INTERRUPTED = 130  # what click makes of Ctrl-C
# click's base of usage errors; newer versions of typer have a click of their own, so it is found by way of typer
_CLICK_ERROR: Any = next(
    one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException"
)

BeamtimeArgument = Annotated[
    Path, typer.Argument(help="A beamtime directory.", show_default=False)
]
OutArgument = Annotated[
    Path, typer.Argument(help="A folder that `run` wrote.", show_default=False)
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Config file of the beamtime (YAML)."),
]
SiteOption = Annotated[
    Path | None,
    typer.Option("--site", help="Config file of the site, below the beamtime's."),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for all results.")]
ScansOption = Annotated[
    str | None, typer.Option("--scans", help="Only these scans: 1,3-7 or names.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Make everything again, fresh or not.")
]
DryOption = Annotated[
    bool, typer.Option("--dry-run", help="Tell what would be made; make nothing.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler", help="serial, threads, processes, slurm or tcp://HOST:PORT."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="How many workers; default: the cores.")
]
MemoryOption = Annotated[
    str | None, typer.Option("--memory", help="What binning may take, such as 1GB.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell more, with tracebacks of defects.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Tell only errors.")]


def main() -> None:
    """Run the command line; errors that users can mend are one line and an exit code, never a traceback."""
    for name in (
        _BLAS_THREADS
    ):  # before numpy is loaded; the work itself is shared between workers
        os.environ.setdefault(name, "1")
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a time limit of a cluster ends it as Ctrl-C does
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # a closed pipe (`| head`) must show here, not when the interpreter ends
    except RixsError as error:
        code = error.exit_code
        _say(str(error))
    except BrokenPipeError:
        sys.stdout = None
        code = 0
    except OSError as error:
        code = InputError.exit_code
        _say(f"{error.filename or 'file system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        code = _CLICK_INTERRUPTED
    except Exception as error:
        code = _of_click(error)
    if code == _CLICK_INTERRUPTED:
        code = INTERRUPTED
        _say(
            "interrupted: what was finished is kept; the same command goes on from there"
        )
    gc.freeze()  # the interpreter would look through all that was loaded, and the system takes it anyhow
    sys.exit(code if isinstance(code, int) else 0)


def _of_click(error: Exception) -> int:
    """The exit code for what click raises, told in one line; anything else is a defect, told in one line too."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return _CLICK_INTERRUPTED
    if isinstance(error, _CLICK_ERROR):
        text = error.format_message()
        if text:  # empty where a command without arguments has printed its help
            _say(f"{text} (see rixs-pipeline --help)")
        return UsageError.exit_code
    log.debug("traceback", exc_info=error)
    _say(
        f"a defect, please report it: {type(error).__name__}: {error} (-v shows where)"
    )
    return InputError.exit_code


def _say(text: str) -> None:
    print(f"rixs-pipeline: {text}", file=sys.stderr)


def _logging(verbose: bool, quiet: bool) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    clear = CLEAR if sys.stderr.isatty() else ""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format=f"{clear}%(message)s",
        force=True,
    )
    logging.getLogger("rixs_pipeline").setLevel(level)


def _load(
    config: Path | None,
    site: Path | None,
    scheduler: str | None,
    workers: int | None,
    memory: str | None,
) -> "Config":
    """The config with what the command line says about execution on top."""
    from rixs_pipeline.config.load import load_config

    given = {"scheduler": scheduler, "workers": workers, "memory": memory}
    execution = {key: value for key, value in given.items() if value is not None}
    return load_config(config, site, {"execution": execution} if execution else None)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def _reduce(
    beamtime: Path, config: "Config", out: Path, as_json: bool, **options: Any
) -> int:
    """Run the pipeline, print where the results are, return the exit code."""
    from rixs_pipeline.runner import run as runner

    command = " ".join(["rixs-pipeline", *sys.argv[1:]])
    summary = runner.run(
        beamtime, config, out, runner.Options(command=command, **options)
    )
    _print_summary(summary, out, as_json)
    return summary.exit_code


def _print_summary(summary: "Summary", out: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary.as_dict(), indent=1))
        return
    if summary.dry_run:
        print("\n".join(summary.planned) or "everything is fresh")
        return
    for line in summary.text():
        print(line)


def _stage_command(name: str, stage: str, text: str) -> None:
    """Register `run` or one of the verbs that are `run --until` a stage."""

    def command(
        beamtime: BeamtimeArgument,
        config: ConfigOption = None,
        site: SiteOption = None,
        out: OutOption = Path("out"),
        scans: ScansOption = None,
        force: ForceOption = False,
        dry_run: DryOption = False,
        until: Annotated[
            str,
            typer.Option(
                "--until",
                help="Last stage: calibrate, bin, combine, extract, compare, report.",
            ),
        ] = stage,
        scheduler: SchedulerOption = None,
        workers: WorkersOption = None,
        memory: MemoryOption = None,
        as_json: JsonOption = False,
        verbose: VerboseOption = False,
        quiet: QuietOption = False,
    ) -> int:
        _logging(verbose, quiet)
        resolved = _load(config, site, scheduler, workers, memory)
        return _reduce(
            beamtime,
            resolved,
            out,
            as_json,
            scans=scans,
            force=force,
            dry_run=dry_run,
            until=until,
        )

    app.command(name, help=text)(command)


_stage_command("run", "report", "Reduce a beamtime: make everything that is not fresh.")
_stage_command("calibrate", "calibrate", "Calibrate the pixels: run --until calibrate.")
_stage_command("bin", "bin", "Bin the scans into maps: run --until bin.")
_stage_command("extract", "extract", "Extract the spectra: run --until extract.")
_stage_command("report", "report", "Draw the figures: run --until report.")


@app.command()
def inspect(
    beamtime: BeamtimeArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> int:
    """Tell what is there: runs, samples, edges, points, pixels, pulses, problems."""
    from rixs_pipeline.config.load import load_config
    from rixs_pipeline.io.discovery import discover
    from rixs_pipeline.io.inspection import as_text, describe

    _logging(False, False)
    found = describe(discover(beamtime, load_config(config).beamtime))
    print(json.dumps(found, indent=1) if as_json else as_text(found))
    return 0


@app.command()
def init(
    beamtime: BeamtimeArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The config file to write.")
    ] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
) -> int:
    """Write a commented config fitted to what is there."""
    from rixs_pipeline.runner.run import first_config

    if out.exists() and not force:
        raise UsageError(
            f"{out}: is there already; give another name with -o, or --force"
        )
    out.write_text(first_config(beamtime), encoding="utf-8")
    print(f"wrote {out}: look at it, then rixs-pipeline run {beamtime} -c {out}")
    return 0


@app.command()
def status(out: OutArgument, as_json: JsonOption = False) -> int:
    """Tell what is done, stale or failed, and why."""
    from rixs_pipeline.runner import run as runner

    _logging(False, True)
    found = runner.status(out)
    print(
        json.dumps(found, indent=1)
        if as_json
        else "\n".join(f"{k:30} {v}" for k, v in found.items())
    )
    return 0


@app.command()
def export(
    out: OutArgument,
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="xdi, athena, csv, nexus, photons; several with commas."
        ),
    ] = "xdi",
) -> int:
    """Write the spectra, or the photons of each scan, for other tools."""
    from rixs_pipeline.io.export import export as write

    for path in write(
        out, [part.strip() for part in formats.split(",") if part.strip()]
    ):
        print(path)
    return 0


@app.command()
def watch(
    beamtime: BeamtimeArgument,
    config: ConfigOption = None,
    out: OutOption = Path("out"),
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between looks.")
    ] = 10.0,
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", help="Stop after so many looks; default: Ctrl-C."),
    ] = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
) -> int:
    """Reduce what appears while the beamtime runs, until Ctrl-C."""
    from rixs_pipeline.runner import run as runner

    _logging(False, False)
    resolved = _load(config, None, scheduler, workers, None)
    return runner.watch(beamtime, resolved, out, every, rounds)


@app.command()
def submit(
    beamtime: BeamtimeArgument,
    config: ConfigOption = None,
    site: SiteOption = None,
    out: OutOption = Path("out"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the job scripts; submit nothing.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Reduce a beamtime as SLURM jobs: everything that is not fresh. The same again goes on where it was stopped."""
    from dataclasses import asdict

    from rixs_pipeline.runner import slurm

    _logging(False, quiet)
    resolved = _load(config, site, None, None, None)
    steps = slurm.plan(beamtime, resolved, out)
    if dry_run:
        told: list[dict[str, Any]] = [
            {"step": s.name, "script": slurm.script(s, resolved, out)} for s in steps
        ]
    else:
        told = (
            [asdict(job) for job in slurm.submit(steps, resolved, out)] if steps else []
        )
    if as_json:
        print(json.dumps({"scripts" if dry_run else "jobs": told}, indent=1))
    for one in [] if as_json else told:
        print(
            one["script"]
            if dry_run
            else f"{one['step']:10} job {one['number']}, {one['elements']} in the array"
        )
    if not told and not as_json:
        print("everything is fresh: nothing to submit")
    return 0


@app.command()
def simulate(
    out: Annotated[
        Path,
        typer.Argument(help="The beamtime directory to write.", show_default=False),
    ],
    preset: Annotated[
        str,
        typer.Option("--preset", help="sample, paper, benchmark_64, benchmark_240."),
    ] = "sample",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Another beamtime of the same kind.")
    ] = None,
    pixels: Annotated[
        int | None, typer.Option("--pixels", help="How many pixels.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="Counts per second and pixel in scans."),
    ] = None,
    passes: Annotated[
        int | None, typer.Option("--passes", help="Scans of every sample and edge.")
    ] = None,
    edges: Annotated[
        str | None, typer.Option("--edges", help="Edges, such as Co_L,O_K.")
    ] = None,
) -> int:
    """Write a beamtime with known truth in the real formats."""
    from rixs_pipeline.simulate import from_options

    _logging(False, False)
    from_options(
        out, preset, seed=seed, pixels=pixels, rate=rate, passes=passes, edges=edges
    )
    print(f"wrote {out}: rixs-pipeline run {out}")
    return 0


@config_app.command("show")
def config_show(config: ConfigOption = None, site: SiteOption = None) -> int:
    """The config with all defaults filled in."""
    from rixs_pipeline.config.load import dump_config, load_config

    print(dump_config(load_config(config, site)), end="")
    return 0


@config_app.command("check")
def config_check(
    config: Annotated[Path, typer.Argument(help="The config file.")],
    site: SiteOption = None,
) -> int:
    """Errors of a config file with their lines; nothing is run."""
    from rixs_pipeline.config.load import load_config

    load_config(config, site)
    print(f"{config}: no errors")
    return 0


@config_app.command("schema")
def config_schema() -> int:
    """The JSON schema of the config, for editors."""
    from rixs_pipeline.config.load import config_schema as schema

    print(json.dumps(schema(), indent=1))
    return 0
