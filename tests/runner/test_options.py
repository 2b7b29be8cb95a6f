import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.stage_list import VERBS


def test_all_stages_run_by_default():
    options = Options()
    assert options.verbs == VERBS
    assert options.is_complete and not options.is_partial


@pytest.mark.parametrize(
    ("until", "verbs"),
    [
        ("calibrate", ("calibrate",)),
        ("combine", ("calibrate", "bin", "combine")),
        ("report", VERBS),
    ],
)
def test_until_is_the_last_stage(until, verbs):
    assert Options(until=until).verbs == verbs


@pytest.mark.parametrize(
    ("options", "is_partial", "is_complete"),
    [
        ({"until": "compare"}, False, False),
        ({"scans": "1"}, True, False),
        ({"scans": "", "until": "bin"}, True, False),
        ({"force": True}, False, True),
        ({"dry_run": True}, False, True),
    ],
)
def test_only_all_scans_and_all_stages_are_complete(options, is_partial, is_complete):
    parsed = Options(**options)
    assert (parsed.is_partial, parsed.is_complete) == (is_partial, is_complete)


@pytest.mark.parametrize("until", ["nosuch", "", "Bin"])
def test_an_unknown_stage_is_refused(until):
    message = f"--until {until}: no such stage; choose from calibrate, bin, combine"
    with pytest.raises(UsageError, match=message):
        Options(until=until)
