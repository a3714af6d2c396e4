"""Programs that reach for what is around them: processes, files, the network, the environment."""

from __future__ import annotations

from codegym.grading import Verdict
from codegym.problems import CallTest, StdinTest

from .case import NEVER, NEVER_CALLS, SECRET, SECRET_VARIABLE, Case, Ending

_CRASH: tuple[Ending, ...] = (Verdict.RUNTIME_ERROR,)
_LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_REFUSED = "raise PermissionError(ctypes.get_errno())"
REFUSED_WITH = ("PermissionError", "BlockingIOError")
HIDDEN_WITH = ("PermissionError", "FileNotFoundError", "OSError", "ModuleNotFoundError")

# A child that stays when its parent has gone.
_STAY = "    os.setsid()\n    import time\n    time.sleep(120)\n    os._exit(0)\n"

PROCESSES = {
    "fork": f"import os\nif os.fork() == 0:\n{_STAY}",
    "fork twice": f"import os\nif os.fork() == 0:\n    if os.fork(): os._exit(0)\n{_STAY}",
    "fork through the C library": f"{_LIBC}pid = libc.fork()\nif pid == 0:\n    libc.setsid()\n"
    f"    libc.sleep(120)\n    libc._exit(0)\nif pid < 0: {_REFUSED}",
    "fork by system call": f"{_LIBC}pid = libc.syscall(57)\nif pid == 0:\n    libc.sleep(120)\n"
    f"    libc._exit(0)\nif pid < 0: {_REFUSED}",
    "zombies": "import os\nfor _ in range(50):\n    if os.fork() == 0: os._exit(0)",
    "posix_spawn": "import os\nos.posix_spawn('/bin/sleep', ['sleep', '120'], {})",
    "subprocess": "import subprocess\n"
    "subprocess.Popen(['/bin/sleep', '120'], start_new_session=True)",
    "os.system": "import os\nif os.system('sleep 120 & disown') != 0: raise PermissionError",
    "multiprocessing": "import multiprocessing, time\n"
    "multiprocessing.Process(target=time.sleep, args=(120,), daemon=False).start()\n"
    "import os\nos._exit(0)",
    "exec": "import os\nos.execv('/bin/sleep', ['sleep', '120'])",
    "memory file, exec": "import os, shutil\nfd = os.memfd_create('x')\n"
    "os.write(fd, b'#!/bin/sh\\nsleep 120 &\\n')\nos.execve(fd, ['x'], {})",
    "kill the parent": "import os\nos.kill(os.getppid(), 9)",
    "kill the parent through the C library": f"{_LIBC}if libc.kill(os.getppid(), 9): {_REFUSED}",
    "stop the parent": f"{_LIBC}if libc.kill(os.getppid(), 19): {_REFUSED}",
    "pidfd_send_signal": "import os, signal\n"
    "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
    "kill the group of the parent": "import os\nos.killpg(os.getpgid(os.getppid()), 9)",
    "kill everybody": f"{_LIBC}if libc.kill(-1, @SIGNAL@): {_REFUSED}",
    "kill init": "import os\nos.kill(1, 0)\nprint('never')",
    "limits of the parent": "import os, resource\n"
    "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))\nprint('never')",
    "priority of the parent": "import os\nos.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\n"
    "print('never')",
    "ptrace": f"{_LIBC}if libc.ptrace(16, os.getppid(), 0, 0): {_REFUSED}\nprint('never')",
    "process_vm_readv": f"{_LIBC}if libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0): "
    f"{_REFUSED}\nprint('never')",
}
KERNEL = {
    "mount": f"{_LIBC}if libc.mount(b'x', b'/', b'tmpfs', 0, None): {_REFUSED}",
    "chroot": "import os\nos.chroot('/')",
    "user namespace": f"{_LIBC}if libc.unshare(0x10000000): {_REFUSED}\nprint('never')",
    "bpf, io_uring, keyctl, perf": f"{_LIBC}if all(libc.syscall(n, 0, 0, 0, 0, 0) == -1 "
    f"for n in (321, 425, 250, 298)): {_REFUSED}\nprint('never')",
    "shared memory segment": f"{_LIBC}if libc.shmget(0, 4096, 0o1600) == -1: {_REFUSED}\n"
    "print('never')",
    "new user id": "import os\nos.setuid(1000)",
}
NETWORK = {
    "TCP": "import socket\nsocket.create_connection(('127.0.0.1', @PORT@), timeout=1)",
    "TCP through the C library": f"{_LIBC}if libc.socket(2, 1, 0) < 0: {_REFUSED}\n"
    "import socket\nsocket.create_connection(('127.0.0.1', @PORT@), timeout=1)",
    "URL": "import urllib.error, urllib.request\ntry: "
    "urllib.request.urlopen('http://127.0.0.1:@PORT@/', timeout=1)\n"
    "except urllib.error.URLError as error: raise error.reason",
    "UDP": "import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\n"
    "s.sendto(b'x', ('127.0.0.1', @PORT@))\nprint('never')",
    "listens": "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
    "print('never')",
    "UNIX socket": "import socket\nsocket.socket(socket.AF_UNIX).bind('@HOST@/socket')",
    "datagram pair": "import socket\nsocket.socketpair(type=socket.SOCK_DGRAM)\nprint('never')",
}
WRITES = {
    "writes a file": "open('@HOST@/escaped', 'w').write('x')",
    "makes a folder": "import os\nos.mkdir('@HOST@/escaped')",
    "overwrites a file": "open('@HOST@/victim', 'w').write('x')",
    "appends to a file": "open('@HOST@/victim', 'a').write('x')",
    "removes a file": "import os\nos.remove('@HOST@/victim')",
    "removes a file through the C library": f"{_LIBC}if libc.unlink(b'@HOST@/victim'): {_REFUSED}",
    "truncates a file": f"{_LIBC}if libc.truncate(b'@HOST@/victim', 0): {_REFUSED}",
    "renames a file": f"{_LIBC}if libc.rename(b'@HOST@/victim', b'@HOST@/escaped'): {_REFUSED}",
    "moves a file out": "open('a', 'w').close()\nimport pathlib\n"
    "pathlib.Path('a').rename('@HOST@/escaped')",
    "makes a link": "import os\nos.symlink('/', '@HOST@/escaped')",
    "writes through a link": "import os\nos.symlink('@HOST@/victim', 'a')\n"
    "open('a', 'w').write('x')",
    "changes a mode": f"{_LIBC}if libc.chmod(b'@HOST@/victim', 0): {_REFUSED}",
    "writes to shared memory": "open('/dev/shm/escaped', 'w').write('x')\nprint('never')",
    "writes beside": "open('../escaped', 'w').write('x')\nprint('never')",
}
READS = {
    "reads a file": "answer = open('@HOST@/victim').read()",
    "reads through a symbolic link": "import os\nos.symlink('@HOST@/victim', 'a')\n"
    "answer = open('a').read()",
    "reads through a hard link": "import os\nos.link('@HOST@/victim', 'a')\n"
    "answer = open('a').read()",
    "reads the parent's environment": "import os\n"
    f"text = open(f'/proc/{{os.getppid()}}/environ').read()\n"
    f"answer = text.partition('{SECRET_VARIABLE}=')[2].partition('\\0')[0]",
    "reads any process's environment": "import glob, os\nanswer = ''\n"
    "for name in glob.glob('/proc/[0-9]*/environ') or ['/proc/1/environ']:\n"
    "    if name != f'/proc/{os.getpid()}/environ':\n        try: text = open(name).read()\n"
    "        except ProcessLookupError: continue\n"
    f"        answer = answer or text.partition('{SECRET_VARIABLE}=')[2].partition('\\0')[0]",
    "reads its environment": f"import os\nanswer = os.environ['{SECRET_VARIABLE}']",
    "reads its environment from /proc": "text = open('/proc/self/environ').read()\n"
    f"answer = text.partition('{SECRET_VARIABLE}=')[2].partition('\\0')[0]\n"
    "if not answer: raise KeyError",
}
HIDDEN = {
    "lists the root": "import os\nos.listdir('/')\nprint('never')",
    "lists the home folder": "import os\nos.listdir(os.path.expanduser('~root'))\nprint('never')",
    "lists /tmp": "import os\nos.listdir('/tmp')\nprint('never')",
    "reads /etc/passwd": "open('/etc/passwd').read()\nprint('never')",
    "reads the parent's memory map": "import os\nopen(f'/proc/{os.getppid()}/maps').read()\n"
    "print('never')",
    "opens the parent's memory": "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb').close()\n"
    "print('never')",
    "opens a terminal": "open('/dev/tty')\nprint('never')",
    "opens a disk": "import os\n[os.open('/dev/' + d, 0) for d in ('vda', 'sda', 'mem', 'kmsg')]\n"
    "print('never')",
    "imports the grader": "import codegym.problems\nprint('never')",
}


def _refused(name: str, group: str, program: str, needs: str, errors: tuple[str, ...]) -> Case:
    # Some leave no trace but their success.
    got_through = program.endswith("print('never')")
    return Case(
        f"attack: {name}",
        "reject",
        group,
        name,
        f"{program}\ndef f(): return 'never'\n",
        NEVER,
        _CRASH,
        calls=NEVER_CALLS,
        error_types=errors,
        needs=(needs,),
        leak=got_through,
        ours="codegym" in program,
    )


def _read(name: str, program: str) -> Case:
    # The answer is known only to a program that could read it.
    return Case(
        f"attack: {name}",
        "reject",
        "reading the host",
        name,
        f"{program}\nprint(answer)\ndef f(): return answer\n",
        (StdinTest("", f"{SECRET}\n"),),
        _CRASH,
        calls=(CallTest((), SECRET),),
        error_types=(*HIDDEN_WITH, "KeyError"),
        needs=("files",),
        leak=True,
    )


CASES = (
    *(_refused(n, "processes", p, "calls", REFUSED_WITH) for n, p in PROCESSES.items()),
    *(_refused(n, "kernel", p, "calls", REFUSED_WITH) for n, p in KERNEL.items()),
    *(_refused(n, "network", p, "calls", REFUSED_WITH) for n, p in NETWORK.items()),
    *(_refused(n, "writing to the host", p, "files", HIDDEN_WITH) for n, p in WRITES.items()),
    *(_read(n, p) for n, p in READS.items()),
    *(_refused(n, "hidden files", p, "files", HIDDEN_WITH) for n, p in HIDDEN.items()),
    Case(
        "attack: fork bomb",
        "reject",
        "processes",
        "forks for ever",
        "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n"
        "    except Exception: pass",
        NEVER,
        (Verdict.TIME_LIMIT,),
        calls=NEVER_CALLS,
        needs=("calls",),
    ),
    Case(
        "attack: fork bomb through the C library",
        "reject",
        "processes",
        "forks for ever",
        f"{_LIBC}while True:\n    if libc.fork() == 0: libc.setsid()",
        NEVER,
        (Verdict.TIME_LIMIT,),
        calls=NEVER_CALLS,
        needs=("calls",),
    ),
)
