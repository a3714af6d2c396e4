"""A worker: waits for requests of the parent and forks a program process for each.

Started as `python -P -s -S -c "..." SOCKET PARENT BOX ISOLATION` by codegym's `process.py`, after
`preload.py`.
Messages in: 4 bytes length, JSON; with it, maybe, one descriptor that holds test code, which this
process passes on and never reads. Messages out: the frames of `program.py`, one for each input.
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import shutil
import signal
import site
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from . import barrier as barriers
from . import confine, namespaces, program, supervise

_FAULT = 70  # exit code of a program process that failed by our own fault


class Worker:
    """The loop of a worker process.

    Args:
        control: Stream socket to the parent.
        box: The private directory of the programs.
        barrier: What closes them in.
    """

    def __init__(self, control: socket.socket, box: str, barrier: barriers.Barrier) -> None:
        self._control = control
        self._box = box
        self._barrier = barrier

    def serve(self) -> None:
        """Answers requests until the parent is gone."""
        hello = json.dumps(self._hello()).encode("ascii")
        self._control.sendall(len(hello).to_bytes(4, "little") + hello)
        while True:
            request, codes = self._receive()
            self._run(request, codes)
            if codes >= 0:
                os.close(codes)

    def _hello(self) -> dict[str, Any]:
        return {"python": list(sys.version_info[:3]), "enforced": self._barrier.enforced()}

    def _receive(self) -> tuple[dict[str, Any], int]:
        head, ancillary, _, _ = self._control.recvmsg(4, socket.CMSG_SPACE(4))
        codes = array.array("i", [-1])
        for _, _, data in ancillary:
            codes = array.array("i", data[:4])
        length = int.from_bytes(head + self._exactly(4 - len(head)), "little")
        return json.loads(self._exactly(length)), codes[0]

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self._control.recv_into(view)
            if count == 0:
                sys.exit(0)  # the parent closed the socket or is dead
            view = view[count:]
        return bytes(data)

    def _run(self, request: dict[str, Any], codes: int) -> None:
        """Sends the frames of all inputs, however many program processes it takes."""
        total = len(request["inputs"])
        done = 0
        while done < total:
            status, output = self._run_program(request, codes, done)
            done += output.frames
            if done < total:
                lost = program.make_frame(_lost(status, output.compiled))
                # Compiling is the same for all; a death later on concerns one input.
                count = 1 if output.compiled else total - done
                self._control.sendall(lost * count)
                done += count
            supervise.kill_leftovers()
            program.empty_box(self._box)

    def _run_program(self, request: dict[str, Any], codes: int, first: int) -> tuple[int, _Output]:
        read, write = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(read)
                self._control.close()
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                confine.signal_with_parent(parent, signal.SIGKILL)
                confine.adopt_orphans()
                barriers.drop_capabilities()
                close_in = self._barrier.close_in
                program.main(program.Job(request, first, write, codes, self._box, close_in))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(_FAULT)
        os.close(write)
        output = _Output(self._control)
        in_time = self._forward(read, output, request["patience"])
        os.close(read)
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if status == _FAULT << 8:
            raise RuntimeError("the program process failed; its traceback is above")
        return (status if in_time else -1), output

    def _forward(self, descriptor: int, output: _Output, patience: float) -> bool:
        """Passes frames on to the end of the stream; False if none came for too long."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._control, select.POLLHUP)
        while True:
            events = poll.poll(patience * 1000)
            if not events:
                return False
            for ready, _ in events:
                if ready != descriptor:
                    sys.exit(0)  # the parent is gone
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return True
                output.add(data)


class _Output:
    """What a program process wrote so far; whole frames are passed on at once."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._rest = bytearray()
        self.compiled = False
        self.frames = 0

    def add(self, data: bytes) -> None:
        self._rest += data
        size = program.FRAME.size
        while len(self._rest) >= size:
            end = size + sum(program.FRAME.unpack_from(self._rest))
            if len(self._rest) < end:
                return
            if end == size:
                self.compiled = True
            else:
                self._control.sendall(self._rest[:end])
                self.frames += 1
            del self._rest[:end]


def _lost(status: int, compiled: bool) -> dict[str, Any]:
    """The header of an input whose program process did not live to report it."""
    if status == -1:
        return {"end": "wall", "lines": []}
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU and not compiled:
        return {"end": "cpu", "lines": []}
    return {"end": "signal", "signal": number, "lines": [], "compiled": compiled}


def _site_packages() -> list[str]:
    """Where packages are installed for this interpreter (`-S` leaves them out)."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    prefix = os.path.dirname(os.path.dirname(sys.executable))
    prefixes = dict.fromkeys((prefix, sys.prefix))
    folders = [os.path.join(each, "lib", version, "site-packages") for each in prefixes]
    return [folder for folder in folders if os.path.isdir(folder)]


def _hide_modules() -> None:
    """Takes these files out of what a program can import by name."""
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]


def main(arguments: list[str], hooks: list[dict[str, Callable[[], Any]]]) -> None:
    """Prepares this process and serves until the parent is gone.

    Args:
        arguments: Socket, process id of the parent, private directory, isolation.
        hooks: What the preloaded modules want to be called after a `fork`.
    """
    descriptor, parent, box = int(arguments[0]), int(arguments[1]), arguments[2]
    isolated = arguments[3] != "none"
    for hook in () if isolated else hooks:
        os.register_at_fork(**hook)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end(box))
    confine.signal_with_parent(parent, signal.SIGTERM)
    confine.adopt_orphans()
    confine.prepare_worker()
    os.environ.clear()
    site.setquit()
    site.sethelper()
    packages = _site_packages()
    sys.path[:] = [*sys.path, *packages]
    sys.dont_write_bytecode = True
    barrier = barriers.Barrier(isolated, box, packages)
    confine.hide_memory()  # not before: an unprivileged process must write its own id maps
    worker = Worker(socket.socket(fileno=descriptor), box, barrier)
    confine.new_streams()
    _hide_modules()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        worker.serve()
    except OSError:
        pass  # the parent is gone
    except Exception:
        traceback.print_exc()  # a fault of ours: the parent shows it
    finally:
        _end(box)


def _end(box: str) -> None:
    """Removes the private directory and ends: the parent may be dead, and nobody else would."""
    namespaces.leave(box)
    shutil.rmtree(box, ignore_errors=True)
    os._exit(0)
