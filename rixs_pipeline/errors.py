"""The exceptions that users see, each with its exit code.

A message is one line: what is wrong, where, what to do.
"""

INTERNAL_ERROR = 70  # exit code: EX_SOFTWARE of BSD's sysexits.h


class RixsError(Exception):
    """Base of all errors that are reported as one line without a traceback."""

    exit_code = 3


class RixsWarning(UserWarning):
    """What a spectrum in Python should be looked at for; filter it by this category."""


class ConfigError(RixsError):
    """A wrong config: an unknown key, a value out of range, a file that is not YAML."""

    exit_code = 2


class UsageError(RixsError):
    """A command line that names an unknown scan, stage or region."""

    exit_code = 2


class VersionError(UsageError):
    """Workers have another version of the program, or of Python."""


class InputError(RixsError):
    """Unusable input: not a beamtime directory, a broken header, a foreign product."""

    exit_code = 3


class LogError(InputError):
    """A log that cannot be read, of a run that is lost where no copy of it can be.

    Attributes
    ----------
    run_name
        Such as scan0001, as far as the log or its file name tells it.
    """

    def __init__(self, message: str, run_name: str = "") -> None:
        super().__init__(message)
        self.run_name = run_name


class RunFailed(RixsError):
    """One run could not be reduced; the others go on."""

    exit_code = 1
