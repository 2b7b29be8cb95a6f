"""The clock of the logs against that of the detector."""
