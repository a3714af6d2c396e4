"""What this machine enforces between a program and itself, found out by trying.

Always: a process, a session and descriptors of its own; limits on CPU time, wall time, address
space, file size and open files; an output cap; an empty environment; a private directory that is
emptied after each run; death of everything below a worker when the worker dies.

Where the kernel offers it, without root and without a container:

- **files** (Landlock): reading is limited to the standard library, the packages that were named and
  what these depend on, shared libraries of the system and time zones; writing to the private
  directory. codegym itself is hidden wherever it lies, and so are all other packages.
- **calls** (seccomp): a list of system calls that honest programs need; the rest does not exist. So
  no sockets, no new processes or programs (threads are allowed), no signals to others, nothing that
  makes the kernel send one, no descriptors through sockets, no leases, no change of mode, owner or
  times of files. Syncing succeeds and does nothing.
- **threads** (seccomp, Linux 5.5): the kernel asks the supervisor before a thread is made, so the
  limit holds for root as well. A process whose threads all ask at the same moment can get to less
  than twice the limit. Where the kernel cannot ask, its own count of a user's processes is the
  limit, which needs namespaces and does not hold for root.
- **namespaces**: no network, no privilege outside, a private directory of bounded size.

A default container (Docker without options) allows no user namespaces; the other three hold there,
also for root. What is missing then: the private directory lies on the container's disk, where each
file is bounded but not their number, and emptying it takes as long as that disk takes to remove
what a program made. The network is cut off by the other two.

Import is limited without Landlock as well, reading is not: then a program can read any file that
its user can read.

Not stopped: reading what is named above; seeing whether a path exists (`stat`), and the names of
files below the folder of the standard library, those in its `site-packages` among them; locks
(`flock`) on files that can be read; using the CPU and the memory bus up to the limits; side
channels; bugs of the kernel. A program shares its memory with its own report, so it can lie about
the lines it executed, its own exception and its own answer, but it never sees an expected answer,
and verdicts are made outside of its process. The numbers of system calls on aarch64 are untested
until somebody runs them there.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import warnings
from typing import Any

from codegym.errors import IsolationError, IsolationWarning
from codegym.execution.worker_process import WorkerProcess

__all__ = ["Isolation", "describe_isolation", "hello", "require_isolation", "require_linux"]


@dataclasses.dataclass(frozen=True, slots=True)
class Isolation:
    """What is enforced for programs on an interpreter of this machine.

    Attributes:
        python: Version of the interpreter.
        files: Landlock limits which files are seen.
        calls: seccomp limits which system calls are made.
        threads: The number of threads is limited, for this user.
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
            ("files: Landlock, reads the standard library and named packages only", self.files),
            ("calls: seccomp, what is not on a list does not exist", self.calls),
            ("threads: no more than the limit, for this user", self.threads),
            ("namespaces: no network, no privileges, bounded directory", self.namespaces),
        ]


def require_linux() -> None:
    """Raises on other systems: there is no sandbox without what only Linux has.

    Raises:
        IsolationError: If this is macOS, Windows or another system.
    """
    if sys.platform != "linux":
        name = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        raise IsolationError(
            f"Programs are run in a sandbox that is made of Linux's seccomp, Landlock and "
            f"namespaces; this is {name}. Use Linux: a machine, a container, a virtual machine, or "
            "on Windows WSL 2. `codegym doctor` says there what it enforces."
        )


def describe_isolation(python: str | None = None) -> Isolation:
    """Starts a worker, lets it try its barriers, and says which hold.

    Args:
        python: Path of the interpreter; default: this one.

    Raises:
        IsolationError: If this is no Linux.
        WorkerError: If the interpreter cannot be started.
    """
    require_linux()
    said = hello(python or sys.executable, ())
    return Isolation(python=tuple(said["python"]), **said["enforced"])


@functools.cache
def hello(python: str, packages: tuple[str, ...]) -> dict[str, Any]:
    """What a worker says of itself when it is ready; it ends at once.

    Args:
        python: Path of the interpreter.
        packages: What programs may import.

    Raises:
        WorkerError: If the interpreter cannot be started.
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
        WorkerError: If the interpreter cannot be started.
    """
    missing = describe_isolation(python).missing
    if not missing:
        return
    what = (
        f"This machine cannot enforce isolation of {' and '.join(missing)} "
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
