"""A worker: waits for requests of the parent and answers them one by one.

Started as `python -P -s -S -c "..." SOCKET PARENT BOX ISOLATION PACKAGES` by codegym's
`worker_process.py`, after `preload.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import random
import signal
import site
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from .child import report, tracing
from .child.actions import rehearse, starter
from .child.loading import FILENAME
from .child.task import Inherited
from .fence import confine, memory, namespaces, packages, semaphores, threads
from .fence.barrier import Barrier
from .fence.box import remove_box
from .message import ParentGoneError
from .runner import Runner
from .supervise import ZygoteClient
from .zygote import FAULT, Zygote

_REPORT_BYTES = 64 * 2**20  # of address space; pages are only taken as they are written to


def _make_zygote(inherited: Inherited, control: socket.socket, *, sealed: bool) -> ZygoteClient:
    """Forks the zygote, which from then on makes all children."""
    channel, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    news, news_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            channel.close()
            control.close()
            os.close(news)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if not confine.signal_with_parent(parent, int(signal.SIGKILL)):
                os._exit(0)
            confine.adopt_orphans()
            confine.hide_memory()
            confine.new_streams()
            rehearse(inherited)
            inherited.barrier.close_in_zygote(theirs)
            Zygote(theirs, news_write, starter(inherited)).serve()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(FAULT)
    theirs.close()
    os.close(news_write)
    asked = threads.accept(channel)
    return ZygoteClient(channel, news, pid, memory.Usage(pid), asked, sealed=sealed)


def main(arguments: list[str], hooks: list[dict[str, Callable[[], Any]]]) -> None:
    """Prepares this process and serves until the parent is gone.

    Args:
        arguments: Socket, process id of the parent, private directory, isolation, names of the
            packages that programs may import.
        hooks: What the preloaded modules want to be called after a `fork`.
    """
    descriptor, parent, box = int(arguments[0]), int(arguments[1]), arguments[2]
    isolated = arguments[3] != "none"
    for hook in () if isolated else hooks:
        os.register_at_fork(**hook)
    _reset_signals()
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end(box))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # what waits behind the mask comes now
    if not confine.signal_with_parent(parent, int(signal.SIGTERM)):
        _end(box)
    confine.adopt_orphans()
    confine.prepare_worker()
    _look_like_a_fresh_interpreter()
    allowed = packages.Packages(arguments[4].split(), packages.folders())
    sys.meta_path.append(allowed)
    barrier = Barrier(isolated, box, allowed.paths, [_codegym()])
    os.chdir(box)
    confine.hide_memory()  # not before: an unprivileged process must write its own id maps
    enforced = barrier.enforced()
    reports = report.new_memory(_REPORT_BYTES)
    control = socket.socket(fileno=descriptor)
    tracing.rehearse(reports)
    gc.collect()
    gc.disable()
    gc.freeze()
    zygote = _make_zygote(Inherited(barrier, reports, allowed), control, sealed=enforced["calls"])
    runner = Runner(zygote=zygote, packages=allowed, memory=reports, control=control, box=box)
    hello = {
        "python": list(sys.version_info[:3]),
        "enforced": enforced,
        "packages": allowed.names,
    }
    text = json.dumps(hello).encode("ascii")
    try:
        control.sendall(len(text).to_bytes(4, "little") + text)
        runner.serve()
    except (ParentGoneError, ConnectionError):
        pass
    except Exception:
        traceback.print_exc()  # a fault of ours: the parent shows it
    finally:
        _end(box)


def _codegym() -> str:
    """The folder or archive that codegym is in: who is to find answers must not read it."""
    path = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _reset_signals() -> None:
    """Undoes what is inherited of the parent: dispositions become those of an interpreter."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)


def _look_like_a_fresh_interpreter() -> None:
    os.environ.clear()
    site.setquit()
    site.sethelper()
    site.setcopyright()
    atexit._clear()
    sys.argv = [FILENAME]
    sys.orig_argv = [sys.executable, FILENAME]
    sys.modules["_multiprocessing"] = semaphores.new_module()
    sys.dont_write_bytecode = True
    random.seed(0)  # a verdict does not depend on the machine's entropy
    # These files are nothing that a program can import by name.
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]


def _end(box: str) -> None:
    """Removes the private directory and ends: the parent may be dead, and nobody else would.

    The zygote, and all below it, die with this process.
    """
    namespaces.leave(box)
    remove_box(box)
    os._exit(0)
