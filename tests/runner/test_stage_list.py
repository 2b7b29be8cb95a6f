import inspect

from rixs_pipeline.runner.options import VERBS
from rixs_pipeline.runner.stage_list import STAGES
from rixs_pipeline.stages.stage import Stage


def test_stages_of_a_verb_end_in_the_order_of_the_verbs():
    last = {stage.verb: index for index, stage in enumerate(STAGES)}
    assert tuple(sorted(last, key=last.__getitem__)) == VERBS


def test_only_figures_are_drawn_in_the_background():
    for stage in STAGES:
        assert stage.in_background == stage.has_figures == (stage.verb == "report")


def test_only_calibrating_and_binning_read_pulses():
    reading = {stage.verb for stage in STAGES if stage.reads_pulses}
    assert reading == {"calibrate", "bin"}


def test_every_stage_is_complete():
    for stage in STAGES:
        assert not inspect.isabstract(stage), stage
        computes = stage.compute is not Stage.compute
        assert computes or stage.compute_product is not Stage.compute_product, stage
