"""One short file a stage: read, call core, write. No mathematics."""
