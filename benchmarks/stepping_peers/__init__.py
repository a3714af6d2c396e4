"""What takes part in the benchmark of stepping, and how it is timed."""
