"""The incident flux: steps of its range, stuck readings, double normalisation."""
