"""What a reduction needs: executors, the reference set, the digests of the inputs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rixs_pipeline.config import Config, ExecutionConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.io.memo import Memo
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.freshness import Freshness
from rixs_pipeline.runner.pipeline import Pipeline
from rixs_pipeline.runner.session import Session
from rixs_pipeline.runner.summary import Summary
from rixs_pipeline.stages.context import RunContext


@contextmanager
def open_pipeline(
    scans: Sequence[Run],
    config: Config,
    summary: Summary,
    memo: Memo,
    session: Session | None = None,
) -> Iterator[Pipeline]:
    """Open the executors; write the digests and run.json at the end, come what may.

    Parameters
    ----------
    scans : sequence of Run
        The scans to reduce.
    config : Config
        Resolved.
    summary : Summary
        Of this run.
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
    execution = config.execution
    if options.dry_run:
        execution = ExecutionConfig(scheduler="serial")
    session = session or Session()
    digests = session.digests(out)
    freshness = Freshness(out, summary, memo, options.force, digests)
    with session.workers.opened(execution, out) as (executor, figures):
        context = RunContext(
            beamtime=summary.beamtime,
            scans=scans,
            config=config,
            out=out,
            reference_set=reference_set,
            executor=executor,
            figure_executor=figures,
            products=freshness,
            warn=summary.warn,
            dry_run=options.dry_run,
            drawn_figures={} if options.force else summary.drawn_figures(),
            memo=memo,
        )
        try:
            yield Pipeline(context, summary, freshness)
        finally:
            if not options.dry_run:
                freshness.save()
                memo.save(is_complete=summary.is_complete)
                summary.write()
