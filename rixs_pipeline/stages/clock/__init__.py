"""The clock of the logs: its offset from that of the detector is found and removed."""
