"""What runs on the other side of the fence: standard library only, started by path.

These files never import codegym, and codegym imports none of them but `box.py` (tests do): a worker
is a plain interpreter, possibly of another Python version, that gets this folder on its command
line.

The chain of processes, each forked from the one before::

    worker     trusted; modules preloaded; supervises its children      worker.py, runner.py
    session    a worker's copy that has many inputs of one large        runner.py
               program to run, so that it is compiled once
    child      compiles and runs a program on ONE input; hostile        child.py, confine.py
    tester     runs test code; calls a child by proxy                   tester.py
"""
