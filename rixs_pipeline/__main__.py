"""`python -m rixs_pipeline` is `rixs-pipeline`."""

from rixs_pipeline.cli import main

main()
