"""What the benchmarks of process rewards need: scores, labels, arms, and trees of programs."""
