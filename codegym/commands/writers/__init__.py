"""Models that write programs: behind an endpoint, or on this machine."""
