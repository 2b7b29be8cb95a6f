"""Work on a cluster: workers of dask, and jobs of SLURM."""
