"""From the files of a beamtime directory to its runs."""
