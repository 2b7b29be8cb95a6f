"""The command line: parse, call, print.

No logic, and nothing heavy is imported before a command needs it.
"""

import gc
import json
import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rixs_pipeline import __version__, bus_error, interrupt
from rixs_pipeline.errors import (
    INTERNAL_ERROR,
    InputError,
    RixsError,
    UsageError,
    describe_os_error,
)
from rixs_pipeline.runner.execution import array_libraries

if TYPE_CHECKING:
    from rixs_pipeline.runner.results.summary import Summary
    from rixs_pipeline.runner.run import Config, Options

app = typer.Typer(
    name="rixs-pipeline",
    help="Reduce the pulses of a TES spectrometer to calibrated RIXS maps and spectra.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(
    help="Print the config with all defaults, check a config file, or "
    "print the JSON schema.",
    no_args_is_help=True,
)
app.add_typer(config_app, name="config")

RED, YELLOW, NO_COLOUR = "\033[31m", "\033[33m", "\033[0m"
CLICK_INTERRUPTED = 130  # what click makes of Ctrl-C
# New objects after which the interpreter looks for cycles. With its default of 700 that
# takes a tenth of the time of a short reduction; the peak of the memory is the same.
GC_THRESHOLD = 50_000
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

log = logging.getLogger("rixs_pipeline")

BeamtimeArgument = Annotated[
    Path, typer.Argument(help="Directory of the beamtime.", show_default=False)
]
OutArgument = Annotated[
    Path, typer.Argument(help="Output folder of a reduction.", show_default=False)
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Config file of the beamtime (YAML)."),
]
SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site",
        help="Config file of the site; the config of the beamtime overrides it.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let the config of the beamtime run commands and name a dask scheduler.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for all results.")]
ScansOption = Annotated[
    str | None,
    typer.Option(
        "--scans", help="Process only these scans, by number or name, such as 1,3-7."
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Remake all products, including those that are up to date."
    ),
]
DryOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="List the products that would be made; make nothing."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Scheduler: auto, serial, threads, processes, slurm or tcp://HOST:PORT.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Number of workers; default: number of available cores."
    ),
]
MemoryOption = Annotated[
    str | None, typer.Option("--memory", help="Memory limit for binning, such as 1GB.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log details, including tracebacks.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Log only errors.")]


def main() -> None:
    """Run the command line.

    Errors that users can mend are one line and an exit code, never a traceback.
    """
    gc.set_threshold(GC_THRESHOLD)
    array_libraries.hide()
    for name in BLAS_THREADS:  # before numpy is loaded: workers share the work instead
        os.environ.setdefault(name, "1")
    # or processes would import `signal.py` and the like from the current folder
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # None where they are closed (`>&-`)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files may have any bytes
            stream.reconfigure(errors="backslashreplace")
    interrupt.install()
    bus_error.install()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # a closed pipe (`| head`) shows here, not at exit
        interrupt.check()
    except RixsError as error:
        code = error.exit_code
        _print_error(str(error))
    except BrokenPipeError:
        sys.stdout = None
        code = 0
    except OSError as error:
        code = InputError.exit_code
        _print_error(describe_os_error(error))
    except KeyboardInterrupt:
        code = CLICK_INTERRUPTED
    except Exception as error:
        # some libraries fail in another way where they are interrupted
        is_interrupted = interrupt.is_requested()
        code = CLICK_INTERRUPTED if is_interrupted else _report_exception(error)
    if code == CLICK_INTERRUPTED:
        code = interrupt.EXIT_CODE
        _print_error(
            "interrupted; finished products are kept; repeat the command to continue"
        )
    # Without it the interpreter, when it ends, looks through all that was imported:
    # 2.8 s instead of 2.3 s of processor time for numba, xarray, scipy and matplotlib.
    gc.freeze()
    sys.exit(code if isinstance(code, int) else 0)


def _report_exception(error: Exception) -> int:
    """Report an exception of click, or an internal error; return the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return CLICK_INTERRUPTED
    if any(base.__name__ == "ClickException" for base in type(error).__mro__):
        # found by name: newer versions of typer have a click of their own
        text = error.format_message()  # type: ignore[attr-defined]
        if text:  # empty where a command without arguments has printed its help
            _print_error(f"{text} (see rixs-pipeline --help)")
        return UsageError.exit_code
    log.debug("traceback", exc_info=error)
    _print_error(
        f"internal error: {type(error).__name__}: {error}; "
        "please report it with the output of -v"
    )
    return INTERNAL_ERROR


def _print_error(text: str) -> None:
    print(f"rixs-pipeline: {text}", file=sys.stderr)


class _StderrHandler(logging.StreamHandler[Any]):
    """Logs to what is sys.stderr at the time, so that lines stay above a bar.

    On a terminal, warnings are yellow and errors red, unless NO_COLOR is set.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line."""
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, coloured if it is a warning or an error."""
        text = super().format(record)
        is_plain = record.levelno < logging.WARNING or os.environ.get("NO_COLOR")
        if is_plain or not sys.stderr.isatty():
            return text
        colour = RED if record.levelno >= logging.ERROR else YELLOW
        return f"{colour}{text}{NO_COLOUR}"


def _set_up_logging(verbose: bool = False, quiet: bool = False) -> None:
    if verbose and quiet:
        raise UsageError("--verbose and --quiet contradict each other; give one")
    level = logging.INFO
    if verbose:
        level = logging.DEBUG
    elif quiet:
        level = logging.ERROR
    logging.basicConfig(
        handlers=[_StderrHandler()],
        level=logging.WARNING,
        format="%(message)s",
        force=True,
    )
    logging.getLogger("rixs_pipeline").setLevel(level)


def _load_config(
    config: Path | None,
    site: Path | None = None,
    *,
    is_trusted: bool = False,
    **execution: Any,
) -> "Config":
    """Load the config; what the command line says about execution comes on top."""
    from rixs_pipeline.config.load import load_config

    given = {key: value for key, value in execution.items() if value is not None}
    overrides = {"execution": given} if given else None
    return load_config(config, site, overrides, is_trusted=is_trusted)


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
    beamtime: Path, config: "Config", out: Path, as_json: bool, options: "Options"
) -> int:
    """Run the pipeline, print where the results are, return the exit code."""
    from rixs_pipeline.runner.run import run

    summary = run(beamtime, config, out, options)
    _print_summary(summary, as_json)
    return summary.exit_code


def _print_summary(summary: "Summary", as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary.as_dict(), indent=1))
    elif summary.options.dry_run:
        print("\n".join(summary.planned) or "all products are up to date")
    else:
        print("\n".join(summary.text()))


def _add_reduction(name: str, last_stage: str, text: str) -> None:
    """Add `run`, or a command that is `run --until` a stage."""

    def command(
        beamtime: Annotated[
            Path | None,
            typer.Argument(help="Directory of the beamtime.", show_default=False),
        ] = None,
        config: ConfigOption = None,
        site: SiteOption = None,
        trust: TrustOption = False,
        out: OutOption = Path("out"),
        scans: ScansOption = None,
        force: ForceOption = False,
        dry_run: DryOption = False,
        until: Annotated[
            str | None,
            typer.Option(
                "--until",
                help="Last stage: calibrate, bin, combine, extract, xas, compare or "
                f"report. [default: {last_stage}]",
            ),
        ] = None,
        scheduler: SchedulerOption = None,
        workers: WorkersOption = None,
        memory: MemoryOption = None,
        summary: Annotated[
            Path | None,
            typer.Option(
                "--from",
                help="Repeat the reduction of this run.json with its config, into "
                "another folder, and print what differs.",
            ),
        ] = None,
        as_json: JsonOption = False,
        verbose: VerboseOption = False,
        quiet: QuietOption = False,
    ) -> int:
        """Reduce; the help text is given below."""
        from rixs_pipeline.runner.run import Options

        _set_up_logging(verbose, quiet)
        record = None
        if summary is not None:
            from rixs_pipeline.runner.results.record import Record

            if (config, scans, until) != (None, None, None):
                raise UsageError(
                    "--from: the config, --scans and --until are those of the record; "
                    "leave them out"
                )
            record = Record.read(summary)
            beamtime = beamtime or record.beamtime
            config, scans, until = record.config, record.scans, record.until
        if beamtime is None:
            raise UsageError("Missing argument 'BEAMTIME' (see rixs-pipeline --help)")
        resolved = _load_config(
            config,
            site,
            is_trusted=trust,
            scheduler=scheduler,
            workers=workers,
            memory=memory,
        )
        options = Options(
            until=last_stage if until is None else until,
            scans=scans,
            force=force,
            dry_run=dry_run,
            command=" ".join(["rixs-pipeline", *sys.argv[1:]]),
        )
        if record is not None:
            record.check(resolved, out)
        code = _reduce(beamtime, resolved, out, as_json, options)
        if record is not None and not dry_run:
            print("\n".join(record.differences(out)), file=sys.stderr)
        return code

    app.command(name, help=text)(command)


_add_reduction(
    "run", "report", "Reduce a beamtime: make all products that are missing or stale."
)
_add_reduction(
    "calibrate", "calibrate", "Calibrate the pixels; equal to run --until calibrate."
)
_add_reduction("bin", "bin", "Bin the scans into maps; equal to run --until bin.")
_add_reduction(
    "extract", "extract", "Extract the spectra; equal to run --until extract."
)
_add_reduction("report", "report", "Plot the figures; equal to run --until report.")


@app.command()
def inspect(
    beamtime: BeamtimeArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> int:
    """List runs, samples, edges, points, pixels, pulses and problems."""
    from rixs_pipeline.runner.inspect import inspect_beamtime

    _set_up_logging()
    # it executes nothing
    resolved = _load_config(config, is_trusted=True)
    contents = inspect_beamtime(beamtime, resolved, as_json=as_json)
    print(json.dumps(contents, indent=1) if as_json else contents)
    return 0


@app.command()
def init(
    beamtime: BeamtimeArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Config file to write.")
    ] = Path("config.yaml"),
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file.")
    ] = False,
) -> int:
    """Write a config with comments for a beamtime."""
    from rixs_pipeline.runner.inspect import initial_config

    if out.exists() and not force:
        raise UsageError(f"{out}: file exists; choose another name or use --force")
    text = initial_config(beamtime)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    print(f"wrote {out}; edit it, then run: rixs-pipeline run {beamtime} -c {out}")
    return 0


@app.command()
def status(out: OutArgument, as_json: JsonOption = False) -> int:
    """Show which products are fresh, stale or failed, and why."""
    from rixs_pipeline.runner.inspect import status as find_status

    _set_up_logging(quiet=True)
    found = find_status(out)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        lines = (f"{name:30} {state}" for name, state in found.states.items())
        print("\n".join(lines))
    return 0


@app.command()
def figures(
    out: OutArgument,
    pixels: Annotated[
        list[str],
        typer.Option(
            "--pixel",
            help="Channel number, or several, separated by commas; can be repeated.",
            show_default=False,
        ),
    ],
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            help="Only this reference run, or several, separated by commas; can be "
            "repeated.",
        ),
    ] = None,
) -> int:
    """Draw the figures of single pixels of the reference runs."""
    from rixs_pipeline.runner.pixel_figures import draw_pixel_figures

    _set_up_logging()
    channels, names = _split(",".join(pixels)), _split(",".join(runs or []))
    for path in draw_pixel_figures(out, channels, names):
        print(path)
    return 0


@app.command()
def diff(
    before: Annotated[
        Path, typer.Argument(help="Output folder of a reduction.", show_default=False)
    ],
    after: Annotated[
        Path,
        typer.Argument(
            help="Output folder of another one of the same data.", show_default=False
        ),
    ],
    as_json: JsonOption = False,
) -> int:
    """Show what changed between two reductions; exit code 1 if results differ."""
    from rixs_pipeline.runner.diff.comparison import compare_reductions
    from rixs_pipeline.runner.diff.text import comparison_text

    _set_up_logging()
    comparison = compare_reductions(before, after)
    if as_json:
        print(json.dumps(comparison.as_json(), indent=1))
    else:
        print("\n".join(comparison_text(comparison)))
    return 0 if comparison.is_equal else 1


@app.command()
def crate(
    out: OutArgument,
    archive: Annotated[Path, typer.Option("--out", "-o", help="Zip file to write.")],
) -> int:
    """Pack a reduction for a paper: an RO-Crate with products, config and checksums."""
    from rixs_pipeline.runner.crate.pack import pack

    _set_up_logging()
    files = pack(out, archive)
    print(f"wrote {archive}: {len(files)} files")
    return 0


@app.command()
def reproduce(
    archive: Annotated[
        Path, typer.Argument(help="Zip file of `crate`.", show_default=False)
    ],
    beamtime: BeamtimeArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="New folder to keep the results; default: deleted."
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> int:
    """Repeat a packed reduction; exit code 1 if a value of a product differs."""
    from tempfile import TemporaryDirectory

    from rixs_pipeline.runner.crate.reproduce import reproduce as repeat

    _set_up_logging(verbose, quiet)
    given = {"scheduler": scheduler, "workers": workers, "memory": memory}
    execution = {key: value for key, value in given.items() if value is not None}
    command = " ".join(["rixs-pipeline", *sys.argv[1:]])
    with TemporaryDirectory(prefix="rixs-reproduce-") as work:
        result = repeat(archive, beamtime, Path(work), out, execution, command)
    print("\n".join(result.text(archive)))
    return 0 if result.is_equal else 1


@app.command()
def export(
    out: OutArgument,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats, separated by commas: xdi, athena, csv, itx (Igor), nexus, "
            "nxxas, netcdf, features, tiled, photons.",
        ),
    ] = "xdi",
    samples: Annotated[
        str, typer.Option("--samples", help="Only these samples, separated by commas.")
    ] = "",
    regions: Annotated[
        str,
        typer.Option(
            "--regions", help="Only these regions and channels, separated by commas."
        ),
    ] = "",
) -> int:
    """Write maps, spectra and comparisons, or photons, for other programs."""
    from rixs_pipeline.io.export import Selection
    from rixs_pipeline.io.export import export as write
    from rixs_pipeline.runner.results.lost_products import check_export, select_current

    selection = Selection(_split(samples), _split(regions))
    selection = select_current(out, _split(formats), selection)
    for path in write(out, _split(formats), selection):
        print(path)
    check_export(out, _split(formats), selection)
    return 0


def _split(text: str) -> list[str]:
    """Return the parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


@app.command()
def watch(
    beamtime: BeamtimeArgument,
    config: ConfigOption = None,
    site: SiteOption = None,
    trust: TrustOption = False,
    out: OutOption = Path("out"),
    every: Annotated[
        float,
        typer.Option("--every", min=0.1, help="Time between looks for new data, s."),
    ] = 10.0,
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", min=1, help="Number of looks; default: until Ctrl-C."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            help="Recorded beamtime to write into BEAMTIME, an empty folder, at its "
            "own times.",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed", min=0.01, help="Factor by which --replay is faster; default: 1."
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> int:
    """Reduce new data while the beamtime runs, until Ctrl-C."""
    from rixs_pipeline.runner.watch import Watch, watch_replay

    if speed is not None and replay is None:
        raise UsageError("--speed: only with --replay; give both or neither")
    if rounds is not None and replay is not None:
        raise UsageError("--rounds: not with --replay, which ends by itself; drop it")
    _set_up_logging(verbose, quiet)
    resolved = _load_config(
        config,
        site,
        is_trusted=trust,
        scheduler=scheduler,
        workers=workers,
        memory=memory,
    )
    command = " ".join(["rixs-pipeline", *sys.argv[1:]])
    watched = Watch(beamtime, resolved, out, command)
    if replay is not None:
        return watch_replay(watched, replay, speed or 1.0, every)
    return watched.run(every, rounds)


@app.command()
def submit(
    beamtime: BeamtimeArgument,
    config: ConfigOption = None,
    site: SiteOption = None,
    trust: TrustOption = False,
    out: OutOption = Path("out"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the job scripts without submitting them."
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Reduce a beamtime in SLURM jobs; repeat the command to continue."""
    from dataclasses import asdict

    from rixs_pipeline.runner.cluster import submit as slurm

    _set_up_logging(quiet=quiet)
    resolved = _load_config(config, site, is_trusted=trust)
    steps = slurm.plan_steps(beamtime, resolved, out)
    if dry_run:
        scripts = [slurm.batch_script(step, resolved, out) for step in steps]
        listing = [
            {"step": step.name, "script": script}
            for step, script in zip(steps, scripts, strict=True)
        ]
        content: dict[str, Any] = {"scripts": listing}
        lines = scripts
    else:
        jobs = slurm.submit(beamtime, steps, resolved, out) if steps else []
        content = {"jobs": [asdict(job) for job in jobs]}
        lines = [
            f"{job.step:10} job {job.number}, array of {job.elements}" for job in jobs
        ]
    if as_json:
        print(json.dumps(content, indent=1))
    else:
        print("\n".join(lines) or "all products are up to date; nothing to submit")
    return 0


@app.command()
def simulate(
    out: Annotated[
        Path,
        typer.Argument(help="Directory of the beamtime to write.", show_default=False),
    ],
    preset: Annotated[
        str,
        typer.Option(
            "--preset", help="Preset: sample, paper, benchmark_64 or benchmark_240."
        ),
    ] = "sample",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of all random numbers.")
    ] = None,
    pixels: Annotated[
        int | None, typer.Option("--pixels", help="Number of pixels.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="Mean photon rate per pixel in scans, 1/s."),
    ] = None,
    passes: Annotated[
        int | None,
        typer.Option("--passes", help="Number of scans of each sample at each edge."),
    ] = None,
    edges: Annotated[
        str | None,
        typer.Option(
            "--edges", help="Edges to scan, separated by commas, such as Co_L,O_K."
        ),
    ] = None,
) -> int:
    """Write a simulated beamtime with known spectra, in the real file formats."""
    from rixs_pipeline.simulate import simulate_preset

    _set_up_logging()
    simulate_preset(
        out, preset, seed=seed, pixels=pixels, rate=rate, passes=passes, edges=edges
    )
    print(f"wrote {out}; reduce it with: rixs-pipeline run {out}")
    return 0


@config_app.command("show")
def config_show(config: ConfigOption = None, site: SiteOption = None) -> int:
    """Print the config with all defaults."""
    from rixs_pipeline.config.load import dump_config, load_config

    print(dump_config(load_config(config, site, is_trusted=True)), end="")
    return 0


@config_app.command("check")
def config_check(
    config: Annotated[Path, typer.Argument(help="Config file to check.")],
    site: SiteOption = None,
    trust: TrustOption = False,
) -> int:
    """Check a config file: list errors with line numbers."""
    from rixs_pipeline.config.load import load_config

    load_config(config, site, is_trusted=trust)
    print(f"{config}: no errors")
    return 0


@config_app.command("schema")
def config_schema() -> int:
    """Print the JSON schema of the config, for editors."""
    from rixs_pipeline.config.load import config_schema as schema

    print(json.dumps(schema(), indent=1))
    return 0
