"""Other people's graders, and how they are run: one way for all benchmarks.

`adapters` says how each grader's own published function is called. A grader is given a `Task`, in
a process of its own: `harness` asks it about one program and looks for what the program did to the
host (conformance), `serve` times it on many (grading), beside `floor` and `fresh`, which are what
grading costs without protection. `contain` closes in whatever runs programs that nobody has read.
In there only the standard library and the grader's own packages are installed, so modules that run
inside import nothing else.
"""
