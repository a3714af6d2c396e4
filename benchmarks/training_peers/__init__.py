"""What `benchmarks/training.py` compares: codegym's PPO, and TRL's GRPO on the same job."""
