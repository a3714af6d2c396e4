"""What this machine enforces between a program and itself, found out by trying.

Always: a process, a session and descriptors of its own; limits on CPU time, wall time, address
space, file size and open files; an output cap; an empty environment; a private directory that is
emptied after each run; death of everything below a worker when the worker dies.

Where the kernel offers it, without root and without a container:

- **files** (Landlock): reading is limited to the interpreter's libraries, installed packages
  except codegym, the C libraries and time zones; writing to the private directory.
- **calls** (seccomp): no sockets, no new processes or programs (threads are allowed), no signals
  to others, no ptrace, mount, bpf, io_uring, keyctl, no change of mode, owner or times of files.
- **namespaces**: no network, no privilege outside, a private directory of bounded size.

Not stopped: reading the libraries named above; seeing whether a path exists (`stat`); using the
CPU and the memory bus up to the limits; side channels; bugs of the kernel. A program shares its
memory with its own report, so it can lie about the lines it executed, its own exception and its
own answer, but it never sees an expected answer, and verdicts are made outside of its process.
Without namespaces the private directory is bounded by the file size limit for each file only.
The number of threads is limited by the address space, and exactly only for unprivileged users
with namespaces.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import warnings
from typing import Any

from codegym.errors import IsolationError, IsolationWarning
from codegym.execution.process import WorkerProcess

__all__ = ["DEFAULT_PACKAGES", "Isolation", "describe_isolation", "hello", "require_isolation"]

DEFAULT_PACKAGES = ("numpy", "sortedcontainers")
"""What reference solutions of the known data sets import, besides the standard library."""


@dataclasses.dataclass(frozen=True, slots=True)
class Isolation:
    """What is enforced for programs on an interpreter of this machine.

    Attributes:
        python: Version of the interpreter.
        files: Landlock limits which files are seen.
        calls: seccomp limits which system calls are made.
        threads: The number of threads is limited.
        namespaces: Network and privileges are cut off.
    """

    python: tuple[int, ...]
    files: bool
    calls: bool
    threads: bool
    namespaces: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of what is required by `isolation="strict"` and not enforced here.

        Namespaces are an addition: files and calls cover what they cover.
        """
        return tuple(name for name in ("files", "calls") if not getattr(self, name))

    def __str__(self) -> str:
        rows = [f"Python {'.'.join(map(str, self.python))}"]
        rows += [f"  {'yes' if here else 'NO ':<4}{text}" for text, here in self._rows()]
        return "\n".join(rows)

    def _rows(self) -> list[tuple[str, bool]]:
        return [
            ("resource limits, output cap, private directory, empty environment", True),
            ("files: Landlock, read-only view of libraries", self.files),
            ("calls: seccomp, no processes, sockets, signals to others", self.calls),
            ("threads: no more than the limit", self.threads),
            ("namespaces: no network, no privileges, bounded directory", self.namespaces),
        ]


def describe_isolation(python: str | None = None) -> Isolation:
    """Starts a worker, lets it try its barriers, and says which hold.

    Args:
        python: Path of the interpreter; default: this one.

    Raises:
        WorkerError: If the interpreter can not be started.
    """
    said = hello(python or sys.executable, DEFAULT_PACKAGES)
    return Isolation(python=tuple(said["python"]), **said["enforced"])


@functools.cache
def hello(python: str, packages: tuple[str, ...]) -> dict[str, Any]:
    """What a worker says of itself when it is ready; it ends at once.

    Args:
        python: Path of the interpreter.
        packages: What programs may import.

    Raises:
        WorkerError: If the interpreter can not be started.
    """
    worker = WorkerProcess(python, "auto", packages)
    try:
        return worker.hello
    finally:
        worker.kill()


def require_isolation(python: str | None, *, strict: bool) -> None:
    """Raises if something is missing and `strict`, else warns about it.

    Raises:
        IsolationError: If `strict` and something is missing.
        WorkerError: If the interpreter can not be started.
    """
    missing = describe_isolation(python).missing
    if not missing:
        return
    what = (
        f"This machine can not enforce isolation of {' and '.join(missing)} "
        "(see `python -m codegym.execution`)."
    )
    if strict:
        raise IsolationError(
            f'{what} Run on a kernel with Landlock (5.19) and seccomp, or say isolation="auto" to '
            "go without."
        )
    _warn_once(f'{what} Programs are run all the same; isolation="strict" refuses instead.')


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, IsolationWarning, stacklevel=4)
