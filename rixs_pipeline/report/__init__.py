"""The HTML report: one page, with all that it needs inside."""
