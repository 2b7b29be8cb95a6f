"""The config: models, loading, messages and the template for `init`."""
