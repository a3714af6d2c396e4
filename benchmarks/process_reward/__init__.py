"""What `benchmarks/prm.py` and `benchmarks/prm_exact.py` need."""
