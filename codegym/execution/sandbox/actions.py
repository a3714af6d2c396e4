"""What a child of a zygote can be told to do."""

from __future__ import annotations

import gc
import marshal
import socket
import warnings
from collections.abc import Callable

from . import child, confine, tester
from .loading import compile_program
from .task import REQUEST, Confinement, Home, Order, Task
from .zygote import Zygote

_CHANNEL, _BIRTHS = 3, 4


def starter(home: Home) -> Callable[[bytes, list[int]], None]:
    """What each child of a zygote does, given its orders and its descriptors."""

    def start(orders: bytes, descriptors: list[int]) -> None:
        action, confinement, told = marshal.loads(orders)
        _ACTIONS[action](home, descriptors, confinement, told)

    return start


def _open_session(
    home: Home, descriptors: list[int], _confinement: Confinement, told: Order
) -> None:
    """Compiles a program, then is a zygote itself."""
    task = Task(home, descriptors, told)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile_program(task)
    confine.take_descriptors(descriptors[:REQUEST], descriptors[REQUEST + 1 :])
    gc.freeze()  # what a collection in a child walks over, it has to copy
    start = starter(Home(home.barrier, home.memory, code))
    Zygote(socket.socket(fileno=_CHANNEL), _BIRTHS, start).serve()


_ACTIONS = {
    "script": child.run_script,
    "call": child.run_call,
    "calls": child.run_calls,
    "candidate": tester.run_candidate,
    "tester": tester.run_tester,
    "session": _open_session,
}
