"""Closes in a process that runs programs nobody has read, for graders that do not do it well.

Namespaces of its own for processes, mounts, network, IPC and (for those who are not root) users;
a read-only view of all files, 256 MiB of scratch space in memory, no capabilities, limits on
memory, processes and time. Made of util-linux's `unshare`, `setpriv` and `prlimit`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

_TOOLS = ("unshare", "setpriv", "prlimit", "timeout", "mount")
_SECONDS = 3600
# The probe refuses to go on where a mount could not be made read-only.
_SCRIPT = r"""
mount --make-rprivate /
while read -r _ point _ options _; do
    mount -o "remount,bind,$options,ro" "$(printf %b "$point")" 2>/dev/null
done < /proc/self/mounts
for folder in "$1" "$HOME" /tmp /var/tmp; do
    if touch "$folder/.probe-$$" 2>/dev/null; then
        rm -f "$folder/.probe-$$"
        echo "cannot make $folder read-only" >&2
        exit 97
    fi
done
shift
mount -t tmpfs -o size=256m,mode=1777 scratch /dev/shm &&
mount -t proc proc /proc &&
cd /dev/shm &&
TMPDIR=/dev/shm prlimit --core=0 --nproc=512 --as=6442450944 --fsize=67108864 \
    setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
exit $?
"""


def missing_tools() -> list[str]:
    """Names of the programs that :func:`contained` needs and that are not installed."""
    return [tool for tool in _TOOLS if shutil.which(tool) is None]


def contained(command: Sequence[str], *, root: Path) -> list[str]:
    """The command line that runs `command` closed in.

    Args:
        command: What to run.
        root: A folder that must not be writable inside (it is tried).

    Returns:
        A command that ends with `command`, and with everything below it when it is killed.
    """
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    spaces = [*users, "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child"]
    shell = ["sh", "-c", _SCRIPT, "contained", str(root)]
    limited = ["timeout", "--kill-after=5", "--foreground", str(_SECONDS)]
    return [*limited, "unshare", *spaces, *shell, *command]
