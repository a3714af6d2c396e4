"""What runs on the other side of the fence: standard library only, started by path.

These files never import codegym, and of them codegym imports `protocol.py`, `codec.py` and
`fence/box.py` only (tests import others): a worker is a plain interpreter, possibly of another
Python version, that gets this folder on its command line.

The processes, each forked from the one before::

    worker     trusted; supervises children      worker.py, runner.py, supervise.py, chain.py
    zygote     trusted; modules preloaded; forks                                    zygote.py
    child      compiles a program, forks its successor, then runs the program
               on ONE input; hostile from then on                                      child/
    successor  that child as it was before: the next input, and so on          child/link.py
    tester     runs test code; calls the program of a child by proxy                  tester/

A plain program (`child/plain.py`) runs on several inputs in one process: it can leave nothing
behind. What stands between a program and the machine is in `fence/`; what the processes say to each
other, in `protocol.py`; values, in `codec.py`.
"""
