"""How a script ends: in the order of `Py_FinalizeEx`, without tearing down the interpreter.

Threads are joined, `atexit` functions called, the standard streams flushed; then the main module
is forgotten, so that what only the program held is finalised: files of its own are flushed and
closed, `__del__` and weak references' callbacks are called. The modules that a child shares with
its zygote stay, for taking them down would touch, and so copy, all of their memory.

So these differ from an interpreter: objects that the program has hung into other modules are not
finalised (files among them are flushed all the same), and daemon threads run on until the end.
All of this is the program's own doing and within its limits.
"""

from __future__ import annotations

import _io
import atexit
import builtins
import contextlib
import gc
import sys
import threading
import traceback
import typing
from typing import Any

from .loading import FILENAME

FLUSH_FAILED = 120
"""What an interpreter exits with if it could not write what was printed."""
UNCAUGHT = 1
_MAIN_NAMES = ("__main__", "program")
_SHOWN_FRAMES = -8
_SHOWN_CHARACTERS = 4_000


def exit_code(error: SystemExit) -> int:
    """What an interpreter makes of a SystemExit that nobody caught."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    with contextlib.suppress(BaseException):
        sys.stderr.write(str(code) + "\n")
    return 1


def show(error: BaseException) -> None:
    """Prints an exception that nobody caught, by the program's own hook if it has one.

    As of an interpreter, what it shows begins in the program.
    """
    with contextlib.suppress(BaseException):
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != FILENAME:
            trace = trace.tb_next
        error.__traceback__ = trace or error.__traceback__
        if sys.excepthook is sys.__excepthook__:
            told = "".join(traceback.format_exception(error, limit=_SHOWN_FRAMES, chain=False))
            # A message of megabytes is not output of the program.
            sys.stderr.write(told[-_SHOWN_CHARACTERS:])
        else:
            sys.excepthook(type(error), error, error.__traceback__)


def finalize(code: int) -> int:
    """Ends a script; the exit code in the end. No frame may hold the main module's namespace.

    Args:
        code: The exit code so far.
    """
    for step in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):  # of a signal handler of the program's, say
            step()
    flushed = flush()
    forget()
    return code if flushed else FLUSH_FAILED


def forget() -> None:
    """Finalises what only the program held, and flushes what else it has opened."""
    # As an interpreter does, before it forgets the main module and after that. The first one also
    # sorts what is reachable: then a file in a cycle is finalised before the buffer below it.
    gc.collect()
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, name, getattr(sys, f"__{name}__", None))
    main = _forget_main()
    gc.collect()
    left = gc.get_objects()
    if main in map(id, left):
        del left
        _clear(main)
        left = gc.get_objects()
    for one in left:
        if isinstance(one, _io._IOBase):
            _flush_one(one)
    flush()


def _forget_main() -> int:
    """Drops the main module; the `id` that its namespace has or had."""
    namespace = getattr(sys.modules.get("__main__"), "__dict__", None)
    for name in _MAIN_NAMES:
        sys.modules.pop(name, None)
    return id(namespace)


def _clear(main: int) -> None:
    """Empties a namespace that something still refers to."""
    for forget in typing._cleanups:  # type: ignore[attr-defined]
        forget()  # `List[Node]` of a class of the program is kept there
    gc.collect()
    for namespace in gc.get_objects():
        if id(namespace) != main or type(namespace) is not dict:
            continue
        if namespace.get("__builtins__") is not builtins:
            continue  # another one by now
        # As `_PyModule_ClearDict` does: names with one underscore first.
        for private in (True, False):
            for name in list(namespace):
                underscored = str(name).startswith("_") and not str(name).startswith("__")
                if underscored is private and name != "__builtins__":
                    namespace[name] = None


def flush() -> bool:
    """Writes out what the program has printed; whether an interpreter would be content.

    The program may have put anything in place of its streams, or nothing.
    """
    written = [_flush_one(getattr(sys, name, None)) for name in ("stdout", "stderr")]
    for name in ("__stdout__", "__stderr__"):
        _flush_one(getattr(sys, name, None))
    return all(written)


def _flush_one(stream: Any) -> bool:
    if stream is None:
        return True
    with contextlib.suppress(BaseException):
        if stream.closed:
            return True
    try:
        stream.flush()
    except BaseException:
        return False  # a program may have put anything there
    return True
