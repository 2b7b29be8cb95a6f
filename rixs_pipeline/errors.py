"""The exceptions that users see, each with its exit code.

A message is one line: what is wrong, where, what to do.
"""


class RixsError(Exception):
    """Base of all errors that are reported as one line without a traceback."""

    exit_code = 3


class ConfigError(RixsError):
    """A wrong config: an unknown key, a value out of range, a file that is not YAML."""

    exit_code = 2


class UsageError(RixsError):
    """A command line that names an unknown scan, stage or region."""

    exit_code = 2


class InputError(RixsError):
    """Unusable input: not a beamtime directory, a broken header, a foreign product."""

    exit_code = 3


class RunFailed(RixsError):
    """One run could not be reduced; the others go on."""

    exit_code = 1
