"""Measurements of the project, each a program: `python -m benchmarks.NAME`."""
