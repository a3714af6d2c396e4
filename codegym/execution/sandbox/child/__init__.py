"""What a child does: it settles in, compiles the program, runs it and leaves a report."""
