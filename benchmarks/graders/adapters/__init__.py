"""One module for each grader: how a task becomes a call of its own published function.

The graders' packages are imported inside the functions: they are there only in containment. Where
a package imports something heavy that its grader does not use, an empty module stands in for it
(see :func:`~.absent.pretend`); the code that grades is as published.
"""
