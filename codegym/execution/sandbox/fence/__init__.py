"""What stands between a program and the machine, and is put up by a worker and its zygote."""
