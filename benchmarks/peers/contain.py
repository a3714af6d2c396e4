"""Closes in a process that runs programs nobody has read, for graders that do not do it well.

Namespaces of its own (processes, network, mounts, IPC), a read-only view of files, small in-memory
folders to write to, no capabilities, and limits on memory, processes, file size and CPU time;
bubblewrap (`bwrap`) sets it up. Outside it nothing can be written, signalled or reached. A grader
of the conformance suite sees the system's libraries, the interpreter and its own sources only, runs
as an unprivileged user, and is killed by a watchdog out here when it takes too long or too much.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.harness import DEADLINE
from benchmarks.peers.task import Task
from benchmarks.processes import resident

__all__ = ["Containment", "ContainmentError", "contained", "missing_tools"]

ROOT = Path(__file__).parents[2]
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/passwd")
_OURS = (ROOT / "benchmarks" / "peers", ROOT / "conformance")
_MEMORY = 6 * 2**30
_LIMITS = {"as": 4 * 2**30, "nproc": 80, "fsize": 2**28, "cpu": 90, "core": 0, "nofile": 1024}
_LIMITS_OF_MANY = _LIMITS | {"as": 6 * 2**30, "nproc": 512, "fsize": 2**26, "cpu": 3600}
_FIRST_USER = 61_000
_PATIENCE = DEADLINE + 15


class ContainmentError(Exception):
    """This machine cannot contain a grader; nothing is run then."""


def missing_tools() -> list[str]:
    """Names of the programs that are needed here and not installed."""
    return [tool for tool in ("bwrap", "setpriv", "prlimit") if shutil.which(tool) is None]


def contained(command: Sequence[str]) -> list[str]:
    """The command line that runs a grader of many programs closed in; it ends with its parent."""
    scratch = ["--size", str(2**28), "--tmpfs", "/dev/shm"]
    return [
        *_namespaces(),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *scratch),
        *("--chdir", "/dev/shm", "--setenv", "TMPDIR", "/dev/shm"),
        *("setpriv", "--inh-caps=-all", "--no-new-privs", *_limited(_LIMITS_OF_MANY), *command),
    ]


class Containment:
    """Runs graders of the conformance suite, each time in fresh namespaces.

    Args:
        secret: Name and value of an environment variable that no program should see.

    Raises:
        ContainmentError: If a tool is missing or the namespaces are refused.
    """

    def __init__(self, secret: tuple[str, str]) -> None:
        if missing := missing_tools():
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
            [*_alone([], _FIRST_USER), "/bin/sh", "-c", command],
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
        views = dict.fromkeys([*_folders_of(python), sources, *_OURS])
        module = [str(python), "-m", "benchmarks.peers.harness"]
        process = subprocess.Popen(
            [*_alone(list(views), user, path), *module, grader, str(sources), *self._secret],
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


def _namespaces() -> list[str]:
    spaces = [f"--unshare-{space}" for space in ("pid", "net", "ipc", "uts")]
    user = [] if os.geteuid() == 0 else ["--unshare-user"]
    return ["bwrap", "--die-with-parent", *spaces, *user, "--cap-drop", "ALL"]


def _alone(views: Sequence[Path], user: int, path: str = "/usr/bin:/bin") -> list[str]:
    """Words before the command of a grader that sees nothing but these folders."""
    root = os.geteuid() == 0
    command = [*_namespaces(), "--new-session", "--clearenv", "--hostname", "host"]
    if root:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    command += ["--setenv", "PATH", path, "--setenv", "HOME", "/private"]
    command += ["--setenv", "PYTHONPATH", str(ROOT), "--proc", "/proc", "--dev", "/dev"]
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
    if root:
        command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        command += ["--inh-caps=-all", "--no-new-privs"]
    return command + _limited(_LIMITS)


def _limited(limits: dict[str, int]) -> list[str]:
    return ["prlimit", *(f"--{name}={value}" for name, value in limits.items())]


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
        elif resident(process.pid) > _MEMORY:
            why.append(f"used more than {_MEMORY >> 30} GiB of memory")
        if why:
            process.kill()  # and with it, its whole namespace
            return
