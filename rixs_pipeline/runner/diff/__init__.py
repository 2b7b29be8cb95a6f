"""What changed between two reductions of one beamtime."""
