"""What a child of a zygote can be told to do."""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import signal
import sys
from collections.abc import Callable

from ..fence import confine
from ..tester import run as tester
from . import ending, tracing
from . import run as child
from .link import Link
from .loading import load, new_module
from .task import Inherited, Task, make_order


def starter(inherited: Inherited) -> Callable[[bytes, list[int]], None]:
    """What each child of a zygote does, given its orders and its descriptors."""

    def start(orders: bytes, descriptors: list[int]) -> None:
        action, confinement, order = marshal.loads(orders)
        _ACTIONS[action](inherited, descriptors, confinement, order)

    return start


def rehearse(inherited: Inherited) -> None:
    """Does what children do with a harmless program, in the process that they will be copies of.

    The interpreter fills caches as it runs; what is filled here need not be filled, and so
    copied, in each child.
    """
    file = os.memfd_create("rehearsal")
    call = marshal.dumps([[3], [], None])
    os.write(file, _REHEARSED + call)
    given = [(len(_REHEARSED), len(call))]
    order = make_order(
        program=len(_REHEARSED),
        prelude=0,
        given=given,
        report_bytes=1 << 10,
        lines=3,
        entry_point="f",
        traced=tracing.TAKES_TIME,  # by the program itself; nothing is switched on
    )
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    main = sys.modules["__main__"]
    for _ in range(_REHEARSALS):
        confine.signal_with_parent(os.getppid(), int(signal.SIGKILL))
        confine.set_rlimits(confine.hard_limits())
        orders = marshal.loads(marshal.dumps(("call", ((1, 2, 3, 4), 1), order)))
        link = Link(request=file, news=file, channel=-1, left=1, given=given)
        task = Task(inherited, link, 1, orders[2])
        namespace = new_module("program")
        program = load(task, namespace)
        child.answer(task, program, namespace, marshal.loads(link.take()))
        del namespace, program, task, link
        ending.forget()
    inherited.memory.madvise(mmap.MADV_REMOVE)
    sys.modules["__main__"] = main
    os.close(file)


_REHEARSED = b"def f(x):\n    return 2 * x\n"
_REHEARSALS = 20


_ACTIONS = {
    "script": child.run_script,
    "call": child.run_call,
    "candidate": tester.run_candidate,
    "tester": tester.run_tester,
}
