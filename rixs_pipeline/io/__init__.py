"""Input formats, products, provenance: everything that touches files."""
