"""RIXS maps of single scans."""
