"""The exceptions that users see. Each is one line: what is wrong, where, what to do; each knows its exit code."""


class RixsError(Exception):
    """Base of all errors that are reported as one line without a traceback."""

    exit_code = 3


class ConfigError(RixsError):
    """A wrong config: an unknown key, a value outside its range, a file that is not YAML."""

    exit_code = 2


class UsageError(RixsError):
    """A command line that asks for something that does not exist (an unknown scan, stage or region)."""

    exit_code = 2


class InputError(RixsError):
    """Input that cannot be used: not a beamtime directory, a broken header, a product of another program."""

    exit_code = 3


class RunFailed(RixsError):
    """One run could not be reduced; the others go on and the command ends with exit code 1."""

    exit_code = 1
