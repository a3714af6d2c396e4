"""Semaphores of `multiprocessing` among threads: a program has no other processes.

The real ones are files in `/dev/shm`, which no program may write to. `multiprocessing.dummy`,
`ThreadPool` and locks and queues of `multiprocessing` ask for them all the same.
"""

from __future__ import annotations

import threading
import time
import types

_RECURSIVE, _PLAIN = 0, 1


class SemLock:
    """What `_multiprocessing.SemLock` is, for the threads of one process."""

    SEM_VALUE_MAX = 2**31 - 1

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        if kind not in (_RECURSIVE, _PLAIN):
            raise ValueError("unrecognized kind")
        self.kind, self.maxvalue, self.handle = kind, maxvalue, id(self)
        self.name = None if unlink else name
        self._value = value
        self._held = 0
        self._owner: int | None = None
        self._changed = threading.Condition(threading.Lock())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes one; whether it could within `timeout` seconds (None: for ever)."""
        with self._changed:
            if self.kind == _RECURSIVE and self._is_mine():
                self._held += 1
                return True
            end = None if timeout is None else time.monotonic() + max(0.0, timeout)
            while self._value <= 0:
                left = None if end is None else end - time.monotonic()
                if not block or (left is not None and left <= 0):
                    return False
                self._changed.wait(left)
            self._value -= 1
            self._held += 1
            self._owner = threading.get_ident()
            return True

    def release(self) -> None:
        """Gives one back.

        Raises:
            AssertionError: If a recursive lock belongs to another thread.
            ValueError: If there would be more than `maxvalue`.
        """
        with self._changed:
            if self.kind == _RECURSIVE:
                if not self._is_mine():
                    raise AssertionError("attempt to release recursive lock not owned by thread")
                if self._held > 1:
                    self._held -= 1
                    return
            elif self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            self._value += 1
            self._held -= 1
            self._changed.notify()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        self._held = 0


def new_module() -> types.ModuleType:
    """What stands for the module `_multiprocessing`."""
    module = types.ModuleType("_multiprocessing")
    SemLock.__module__ = module.__name__
    vars(module).update(SemLock=SemLock, sem_unlink=lambda _name: None, flags={})
    return module
