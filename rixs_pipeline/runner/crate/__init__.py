"""A reduction packed for a paper as an RO-Crate, and repeated from it."""
