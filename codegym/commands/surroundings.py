"""Where does this process run: container, Slurm job, WSL, and what they let it have?

All of it is read from files of the kernel and from the environment; nothing is tried out.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Surroundings", "look_around"]

_CONTAINERS = (
    (".dockerenv", "Docker"),
    ("run/.containerenv", "Podman"),
    (".singularity.d", "Apptainer"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the place where programs would run.

    Attributes:
        system: Name and version of the kernel.
        root: Whether this user is root.
        cpus: CPUs that this process may use.
        cpu_quota: How many CPUs' time its control group gets; None: no limit is known.
        memory_limit: Bytes that its control group may use; None: no limit is known.
        container: Name of the container's kind, or None.
        wsl: 1 or 2 in the Windows Subsystem for Linux, else None.
        slurm_job: Id of the Slurm job, or None.
        notes: What is known of such a place, a sentence each.
    """

    system: str
    root: bool
    cpus: int
    cpu_quota: float | None
    memory_limit: int | None
    container: str | None
    wsl: int | None
    slurm_job: str | None
    notes: tuple[str, ...]


def look_around(
    root: Path = Path("/"), environ: Mapping[str, str] = os.environ, *, namespaces: bool = False
) -> Surroundings:
    """Says where this process runs.

    Args:
        root: Where the file system begins.
        environ: The environment.
        namespaces: Whether user namespaces can be made here, if that was tried out.
    """
    container, wsl = _container(root, environ), _wsl(root)
    quota, memory = _cpu_quota(root), _memory_limit(root)
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    job = environ.get("SLURM_JOB_ID")
    return Surroundings(
        system=f"{platform.system()} {platform.release()}",
        root=sys.platform != "win32" and os.getuid() == 0,
        cpus=cpus,
        cpu_quota=quota,
        memory_limit=memory,
        container=container,
        wsl=wsl,
        slurm_job=job,
        notes=tuple(_notes(None if namespaces else container, wsl, job, cpus, quota)),
    )


def _notes(
    container: str | None, wsl: int | None, job: str | None, cpus: int, quota: float | None
) -> list[str]:
    notes = []
    if container is not None:
        notes.append(
            "This container allows no user namespaces, as is the default. Files and system calls "
            "are limited all the same; the private directory of a program is then bounded file by "
            "file only, and lies on the container's disk."
        )
    if wsl == 1:
        notes.append("WSL 1 has no Linux kernel, so nothing is enforced. Convert it to WSL 2.")
    if wsl == 2:
        notes.append(
            "WSL 2 runs a kernel of Microsoft's: files are limited only if it was built with "
            "Landlock, which the table above says. Data on /mnt/c is slow to read."
        )
    if job is not None:
        notes.append(
            "Workers are as many as the CPUs that Slurm gives this process (--cpus-per-task). "
            "Where the job's memory is used up, Slurm kills workers: that is an error, never a "
            "verdict. Nodes differ: run this command on each kind of them."
        )
    if quota is not None and quota < cpus:
        notes.append(
            f"This process sees {cpus} CPUs and gets the time of {quota:g}: give --workers "
            f"{max(1, int(quota))}."
        )
    return notes


def _container(root: Path, environ: Mapping[str, str]) -> str | None:
    for name, kind in _CONTAINERS:
        if (root / name).exists():
            return kind
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "Kubernetes"
    named = environ.get("container")
    if named:
        return named
    told = _text(root / "proc/1/cgroup")
    return next(
        (kind for word, kind in (("docker", "Docker"), ("kubepods", "Kubernetes")) if word in told),
        None,
    )


def _wsl(root: Path) -> int | None:
    version = _text(root / "proc/version").lower()
    if "microsoft" not in version:
        return None
    return 2 if "wsl2" in version or "microsoft-standard" in version else 1


def _cpu_quota(root: Path) -> float | None:
    words = _text(root / "sys/fs/cgroup/cpu.max").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
        return int(words[0]) / int(words[1])
    quota = _text(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
    period = _text(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _memory_limit(root: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _text(root / "sys/fs/cgroup" / name).strip()
        if text.isdigit() and int(text) < 1 << 60:  # version 1 writes almost 2**63 for no limit
            return int(text)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
