"""What a reduction needs: executors, the reference set, the digests of the inputs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rixs_pipeline.config import Config
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.execution.workers import Executors
from rixs_pipeline.runner.pipeline import Pipeline
from rixs_pipeline.runner.results.freshness import Freshness
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.session import Session
from rixs_pipeline.stages.context import RunContext


@contextmanager
def open_pipeline(
    scans: Sequence[Run],
    config: Config,
    summary: Summary,
    executors: Executors,
    memo: Memo,
    session: Session | None = None,
) -> Iterator[Pipeline]:
    """Yield a pipeline; write the digests and run.json at the end, come what may.

    Parameters
    ----------
    scans : sequence of Run
        The scans to reduce.
    config : Config
        Resolved.
    summary : Summary
        Of this run.
    executors : Executors
        Open ones.
    memo : Memo
        What was decided before.
    session : Session, optional
        Of a process that reduces again and again.

    Yields
    ------
    Pipeline
        To be run.
    """
    out, calibration, options = summary.out, config.calibration, summary.options
    reference_set = load_reference_set(calibration.reference, calibration.variants)
    session = session or Session()
    digests = session.digests(out)
    freshness = Freshness(out, summary, memo, options.force, digests)
    context = RunContext(
        beamtime=summary.beamtime,
        scans=scans,
        config=config,
        out=out,
        reference_set=reference_set,
        executor=executors.numbers,
        few_executor=executors.few,
        figure_executor=executors.figures,
        products=freshness,
        warn=summary.warn,
        dry_run=options.dry_run,
        memo=memo,
    )
    try:
        yield Pipeline(context, summary, freshness)
    finally:
        if not options.dry_run:
            freshness.save()
            memo.save(is_complete=summary.is_complete)
            summary.write()
