"""What runs on the other side of the fence: standard library only, started by path.

These files never import codegym, and of them codegym imports `protocol.py`, `codec.py` and `box.py`
only (tests import others): a worker is a plain interpreter, possibly of another Python version,
that gets this folder on its command line.

The chain of processes, each forked from the one before::

    worker     trusted; supervises its children                         worker.py, runner.py
    zygote     trusted; modules preloaded; forks                        zygote.py
    child      compiles a program and forks its successor; then         link.py, relay.py
               runs the program on ONE input; hostile from then on      child.py, confine.py
    successor  that child as it was before: the next input, and so on
    tester     runs test code; calls a child by proxy                   tester.py

A plain program (`plain.py`) runs on several inputs in one process: it can leave nothing behind.
"""
