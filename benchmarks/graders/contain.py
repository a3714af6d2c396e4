"""Containment for graders that run hostile programs in their own process.

Each run has namespaces of its own (processes, network, mounts, IPC), a root folder made of
read-only views of the system's libraries, the interpreter and the grader's sources, small
in-memory folders to write to, an unprivileged user, and limits on memory, processes, file size and
CPU time; bubblewrap (`bwrap`) sets it up. A watchdog out here kills it all when it takes too long
or too much memory. Outside it nothing can be written, signalled or reached.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.graders.harness import DEADLINE
from benchmarks.graders.task import Task

__all__ = ["Containment", "ContainmentError"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/passwd")
_MEMORY = 6 * 2**30
_LIMITS = {"as": 4 * 2**30, "nproc": 80, "fsize": 2**28, "cpu": 90, "core": 0, "nofile": 1024}
_FIRST_USER = 61_000
_PATIENCE = DEADLINE + 15


class ContainmentError(Exception):
    """This machine cannot contain a grader; nothing is run then."""


class Containment:
    """Runs graders, each time in fresh namespaces.

    Args:
        secret: Name and value of an environment variable that no program should see.

    Raises:
        ContainmentError: If a tool is missing or the namespaces are refused.
    """

    def __init__(self, secret: tuple[str, str]) -> None:
        missing = [tool for tool in ("bwrap", "setpriv", "prlimit") if not shutil.which(tool)]
        if missing:
            raise ContainmentError(
                f"{' and '.join(missing)} not found; install bubblewrap and util-linux."
            )
        self._secret = secret
        self._users: list[int] = []
        self._lock = threading.Lock()

    def check(self) -> None:
        """Tries the barriers with a harmless command.

        Raises:
            ContainmentError: If one does not hold.
        """
        command = (
            "touch /usr/x /x; kill -0 1; test -e /root/.ssh; cat /proc/sys/kernel/hostname; id -u"
        )
        done = subprocess.run(
            [*self._bwrap([], _FIRST_USER), "/bin/sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=20,
        )
        lines = done.stdout.split()
        if (
            done.returncode != 0
            or "cannot touch '/usr/x'" not in done.stderr
            or lines[-1:] == ["0"]
        ):
            raise ContainmentError(f"the barriers do not hold: {done.stdout}{done.stderr}")

    def run(self, grader: str, task: Task, python: Path, sources: Path) -> dict[str, Any]:
        """What the harness reports; `{"killed": why}` if it did not live to report.

        Args:
            grader: Name of the adapter.
            task: What to ask.
            python: Interpreter with the packages that the grader needs.
            sources: Folder with the grader's sources.
        """
        with self._lock:
            user = next(u for u in range(_FIRST_USER, _FIRST_USER + 99) if u not in self._users)
            self._users.append(user)
        try:
            return self._run(grader, task, python, sources, user)
        finally:
            with self._lock:
                self._users.remove(user)

    def _run(
        self, grader: str, task: Task, python: Path, sources: Path, user: int
    ) -> dict[str, Any]:
        path = f"{python.parent}:/usr/bin:/bin"  # some graders start `python`
        module = "benchmarks.graders.harness"
        views = [*_folders_of(python), sources, Path(__file__).parent]
        process = subprocess.Popen(
            [
                *self._bwrap(views, user, path),
                *(str(python), "-m", module, grader, str(sources), *self._secret),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        why: list[str] = []
        ended = threading.Event()
        watchdog = threading.Thread(target=_watch, args=(process, ended, why), daemon=True)
        watchdog.start()
        out, errors = process.communicate(task.to_json())
        ended.set()
        watchdog.join()
        if why:
            return {"killed": why[0]}
        try:
            report: dict[str, Any] = json.loads(out)
        except ValueError:
            return {"killed": f"the processes around the grader died. {errors[-300:]}".strip()}
        return report

    def _bwrap(self, views: list[Path], user: int, path: str = "/usr/bin:/bin") -> list[str]:
        root = os.geteuid() == 0
        command = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
        command += ["--unshare-uts", "--new-session", "--clearenv", "--hostname", "host"]
        if root:
            command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            command += ["--unshare-user"]
        command += ["--setenv", "PATH", path, "--setenv", "HOME", "/private"]
        command += ["--setenv", "PYTHONPATH", str(Path(__file__).parents[2])]
        command += ["--proc", "/proc", "--dev", "/dev"]
        for folder in ("/tmp", "/dev/shm", "/host", "/private"):
            command += ["--perms", "1777", "--size", str(2**28), "--tmpfs", folder]
        command += ["--perms", "0755", "--dir", "/etc"]
        for name in _SYSTEM:
            if os.path.islink(name):
                command += ["--symlink", os.readlink(name), name]
            elif os.path.exists(name):
                command += ["--ro-bind", name, name]
        for view in views:
            for parent in [*view.parents][-2::-1]:
                if str(parent) not in ("/tmp", "/usr"):
                    command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", str(view), str(view)]
        command += ["--remount-ro", "/", "--chdir", "/private"]
        return command + _limited(user if root else None)


def _limited(user: int | None) -> list[str]:
    """Words before a command: gives up privileges, then sets limits."""
    words = ["prlimit", *(f"--{name}={value}" for name, value in _LIMITS.items())]
    if user is not None:
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        words = [*drop, "--inh-caps=-all", "--no-new-privs", *words]
    return words


def _folders_of(python: Path) -> list[Path]:
    """What must be seen for an interpreter to start: its own folders, and its environment's."""
    code = "import sys; print(sys.base_prefix); print(sys.prefix)"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    prefixes = dict.fromkeys(Path(line) for line in answer.stdout.split("\n") if line)
    return [prefix for prefix in prefixes if prefix != Path("/usr")]


def _watch(process: subprocess.Popen[str], ended: threading.Event, why: list[str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ended.wait(0.1):
        if time.monotonic() > deadline:
            why.append("no verdict in time")
        elif _memory_below(process.pid) > _MEMORY:
            why.append(f"used more than {_MEMORY >> 30} GiB of memory")
        if why:
            process.kill()  # and with it, its whole namespace
            return


def _memory_below(pid: int) -> int:
    """Resident bytes of a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(name))
                sizes[int(name)] = int(fields[21]) * os.sysconf("SC_PAGESIZE")
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        total += sizes.get(one, 0)
        waiting += parents.get(one, [])
    return total
