"""What the HTML report shows, from products and `run.json`."""
