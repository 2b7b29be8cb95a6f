import pytest

from rixs_pipeline import errors
from rixs_pipeline.errors import RixsError


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.RunFailed, 1),  # the other runs go on
        (errors.UsageError, 2),
        (errors.ConfigError, 2),
        (errors.InputError, 3),
    ],
)
def test_exit_codes_tell_scripts_what_is_wrong(error, exit_code):
    assert issubclass(error, RixsError)
    assert error.exit_code == exit_code
    assert str(error("beamtime: no runs")) == "beamtime: no runs"
