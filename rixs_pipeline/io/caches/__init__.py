"""Caches: digests, arrays and decisions that later reductions use again."""
