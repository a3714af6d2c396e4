"""What the process of test code does: it calls a program in another process, and judges it."""
