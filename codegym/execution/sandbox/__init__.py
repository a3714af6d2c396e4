"""What runs on the other side of the fence: standard library only, started by path.

These files never import codegym, and codegym never imports them (tests do): a worker is a plain
interpreter, possibly of another Python version, that gets this folder on its command line.

The chain of processes, each forked from the one before::

    worker     trusted; idle between requests; modules preloaded        worker.py
    program    trusted; compiles one program, supervises its runs       program.py, supervise.py
    child      runs the program on ONE input; hostile from then on      child.py, confine.py
    tester     runs test code; calls a child by proxy                   tester.py
"""
