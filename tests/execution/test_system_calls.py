"""The list of system calls: what it says for every number, and what programs reach with it."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from codegym.execution import ExitReason, LocalExecutor, describe_isolation
from codegym.execution.sandbox.fence import calls, seccomp

from .conftest import LIMITS, Run
from .process_tree import children_of

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, EINVAL, ENOTTY, ENOSYS = 1, 22, 25, 38
OWN_PID = 4_711
TABLES = (calls.ALLOWED, calls.DEPENDS, calls.REFUSED, calls.PRETENDED, calls.UNSUPPORTED)
NEVER: calls.Numbers = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "execve": (59, 221), "execveat": (322, 281), "vfork": (58, None), "clone3": (435, 435),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140), "setpgid": (109, 154), "setuid": (105, 146), "capset": (126, 91),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept4": (288, 242), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "mount": (165, 40), "chroot": (161, 51), "setns": (308, 268), "unshare": (272, 97),
    "chmod": (90, None), "fchmodat": (268, 53), "fchownat": (260, 54), "utimensat": (280, 88),
    "mknodat": (259, 33), "openat2": (437, 437), "open_by_handle_at": (304, 265),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "mlockall": (151, 230),
    "io_uring_setup": (425, 425), "io_setup": (206, 0), "bpf": (321, 280), "keyctl": (250, 219),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "seccomp": (317, 277),
    "personality": (135, 92), "vmsplice": (278, 75), "splice": (275, 76), "tee": (276, 77),
}  # fmt: skip
"""What leads to others, to the network, or to memory that no limit counts."""
needs_calls = pytest.mark.skipif(not describe_isolation().calls, reason="no seccomp here")

Answer = Callable[..., int]


def decide(code: list[seccomp.Code], audit: int, number: int, *arguments: int) -> int:
    """What the kernel makes of a filter: its return value."""
    words = {0: number, 4: audit}
    words |= {16 + 8 * i: value & 0xFFFFFFFF for i, value in enumerate(arguments)}
    position = value = 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        if operation == 0x20:
            value = words.get(operand, 0)
        elif operation == 0x54:
            value &= operand
        elif operation == 0x06:
            return operand
        elif operation == 0x05:
            position += operand
        else:
            holds = {
                0x15: value == operand,
                0x35: value >= operand,
                0x25: value > operand,
                0x45: bool(value & operand),
            }[operation]
            position += if_true if holds else if_false


@pytest.fixture(params=AUDIT)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    return str(request.param)


@pytest.fixture
def ask(machine: str) -> Answer:
    """What both filters together answer a child: 0 for yes, else an error, or -1 for "done"."""
    both = [seccomp.of_zygote().code, seccomp.of_child().code]
    column = list(AUDIT).index(machine)
    numbers = {name: pair[column] for table in TABLES for name, pair in table.items()}

    def answer(call: str | int, *arguments: int, audit: int = AUDIT[machine]) -> int:
        number = numbers[call] if isinstance(call, str) else call
        assert number is not None
        code = [
            [(*one[:3], OWN_PID if one[3] == 0x7FFFFFF1 else one[3]) for one in f] for f in both
        ]
        said = min(decide(one, audit, number, *arguments) for one in code)
        if said == ALLOW:
            return 0
        return (said & 0xFFFF) or -1

    return answer


def test_every_number_is_answered_as_its_table_says(machine: str, ask: Answer) -> None:
    column = list(AUDIT).index(machine)
    expected = {pair[column]: 0 for pair in calls.ALLOWED.values()}
    expected |= {pair[column]: EPERM for pair in calls.REFUSED.values()}
    expected |= {pair[column]: -1 for pair in calls.PRETENDED.values()}
    expected |= {pair[column]: 95 for pair in calls.UNSUPPORTED.values()}
    depends = {pair[column] for pair in calls.DEPENDS.values()}
    for number in range(600):
        if number not in depends:
            assert ask(number) == expected.get(number, ENOSYS), number


def test_no_number_is_in_two_tables(machine: str) -> None:
    column = list(AUDIT).index(machine)
    numbers = [n for table in TABLES for pair in table.values() if (n := pair[column]) is not None]
    assert len(numbers) == len(set(numbers))


def test_what_leads_out_is_in_no_list_of_what_is_allowed(machine: str, ask: Answer) -> None:
    column = list(AUDIT).index(machine)
    for name, pair in NEVER.items():
        if pair[column] is not None:
            assert ask(pair[column]) in (EPERM, ENOSYS), name


def test_calls_that_newer_machines_lack_are_no_way_around(ask: Answer, machine: str) -> None:
    if machine == "x86_64":
        assert ask("open", 0, 0o102) == 0
        assert ask("open", 0, 0o4010002) == EPERM
        assert ask("fork") == EPERM


def test_other_ways_into_the_kernel_are_closed(machine: str, ask: Answer) -> None:
    assert ask("read") == 0
    assert ask("read", audit=0x40000003) == EPERM  # 32-bit programs
    for number in (calls.ALLOWED["write"][0] | 0x40000000, 2**31, 2**32 - 1):  # type: ignore[operator]
        assert ask(number) == ENOSYS


@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("clone", (0x3D0F00,), 0),
        ("clone", (0x7D0F00,), 0),
        ("clone", (0x1200011,), EPERM),
        ("clone", (0x4111,), EPERM),  # as vfork does
        ("clone", (0x10000,), EPERM),
        ("clone", (0x3D0F00 & ~0x400,), EPERM),  # a table of descriptors of its own
        ("clone", (0x3D0F00 | 0x10000000,), EPERM),  # a user namespace
        ("kill", (OWN_PID, 15), 0),
        ("kill", (OWN_PID, 9), EPERM),
        ("kill", (OWN_PID + 1, 15), EPERM),
        ("kill", (0, 15), EPERM),
        ("kill", (2**32 - 1, 15), EPERM),
        ("tgkill", (OWN_PID, 1, 15), 0),
        ("tgkill", (OWN_PID, 1, 9), EPERM),
        ("tgkill", (1, 1, 15), EPERM),
        ("prlimit64", (0, 7, 1), 0),
        ("prlimit64", (OWN_PID, 7, 1), 0),
        ("prlimit64", (1, 7, 1), EPERM),
        ("prlimit64", (0, 0, 1), -1),
        ("prlimit64", (0, 0, 0), 0),
        ("prlimit64", (1, 0, 0), EPERM),
        ("prctl", (15,), 0),
        ("prctl", (1,), EPERM),
        ("prctl", (22,), EPERM),
        ("fcntl", (0, 1030), 0),
        ("fcntl", (0, 4, 0x800), 0),
        ("fcntl", (0, 4, 0x2800), EPERM),
        ("fcntl", (0, 1031, 1 << 16), 0),
        ("fcntl", (0, 1031, 1 << 20), EPERM),
        *(("fcntl", (0, command), EPERM) for command in (8, 10, 15, 1024, 1026, 1033)),
        *(("ioctl", (0, command), 0) for command in (0x5401, 0x5413, 0x541B, 0x5421)),
        *(("ioctl", (0, c), ENOTTY) for c in (0x5412, 0x5452, 0x8901, 0x8902, 0x40086602)),
        ("mmap", (0, 1, 3, 0x22), 0),
        ("mmap", (0, 1, 3, 0x40022), EPERM),
        ("madvise", (0, 1, 4), 0),
        ("madvise", (0, 1, 12), EINVAL),
        ("madvise", (0, 1, 21), EINVAL),
        ("madvise", (0, 1, 100), EINVAL),  # poisons a page
        ("preadv2", (0, 0, 0, 0, 0, 0), 0),
        ("preadv2", (0, 0, 0, 0, 0, 1), EPERM),
        ("pwritev2", (0, 0, 0, 0, 0, 0), 0),
        ("pwritev2", (0, 0, 0, 0, 0, 2), EPERM),  # every byte to the disk
        ("fallocate", (0, 0), 0),
        ("fallocate", (0, 1), EPERM),
        ("openat", (0, 0, 0o102), 0),
        ("openat", (0, 0, 0o4010002), EPERM),
        ("socketpair", (1, 0o2000001), 0),
        ("socketpair", (1, 2), EPERM),
        ("socketpair", (16, 1), EPERM),
        ("sendto", (0, 0, 0, 0x4000), 0),
        ("sendto", (0, 0, 0, 1), EPERM),
        ("recvfrom", (0, 0, 0, 0x40), 0),
        ("recvfrom", (0, 0, 0, 1), EPERM),
        ("recvmsg", (0, 0, 0x40), 0),
        ("recvmsg", (0, 0, 1), EPERM),
        ("setsockopt", (0, 1, 7), 0),
        ("setsockopt", (0, 1, 36), EPERM),
        ("setsockopt", (0, 1, 50), EPERM),
        ("setsockopt", (0, 6, 7), EPERM),
        ("sched_setaffinity", (0,), 0),
        ("sched_setaffinity", (1,), EPERM),
        ("membarrier", (8,), 0),
        ("membarrier", (1,), EINVAL),
    ],
)
def test_arguments(ask: Answer, call: str, arguments: tuple[int, ...], answer: int) -> None:
    assert ask(call, *arguments) == answer


def test_the_zygote_may_fork_and_nothing_larger(machine: str) -> None:
    column, code = list(AUDIT).index(machine), seccomp.of_zygote().code
    clone = calls.DEPENDS["clone"][column]
    assert clone is not None
    assert decide(code, AUDIT[machine], clone, 0x1200011) == ALLOW
    assert decide(code, AUDIT[machine], clone, 0x11 | 0x10000000) == ERRNO | EPERM
    prctl = calls.DEPENDS["prctl"][column]
    assert prctl is not None
    assert decide(code, AUDIT[machine], prctl, 1) == ALLOW  # to end with its parent
    assert decide(code, AUDIT[machine], prctl, 0x59616D61) == ERRNO | EPERM  # who may trace it


@pytest.mark.parametrize(
    ("column", "header", "pattern"),
    [
        (0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"__NR_(\w+) (\d+)$"),
        (1, "/usr/include/asm-generic/unistd.h", r"__NR(?:3264)?_(\w+) (\d+)$"),
    ],
)
def test_numbers_are_those_of_the_kernel(column: int, header: str, pattern: str) -> None:
    if not Path(header).is_file():
        pytest.skip(f"the headers of the kernel are not here: no {header}")
    text = Path(header).read_text()
    known = {name: int(n) for name, n in re.findall(f"#define {pattern}", text, re.MULTILINE)}
    if column == 1:
        known["newfstatat"] = known["fstatat"]
    compared = 0
    for table in (*TABLES, NEVER):
        for name, pair in table.items():
            if name in known and pair[column] is not None:
                assert pair[column] == known[name], name
                compared += 1
    assert compared > 150


CLONE = calls.DEPENDS["clone"][platform.machine() == "aarch64"]
REACHES = {
    "owner of a pipe": "fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())",
    "owner of a pipe, another way": "fcntl.fcntl(r, 15, struct.pack('ii', 1, os.getppid()))",
    "signal of a pipe": "fcntl.fcntl(r, 10, 9)",
    "signals of a pipe": "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)",
    "signals of a socket": "fcntl.ioctl(s, 0x5452, struct.pack('i', 1))",
    "owner of a socket": "fcntl.ioctl(s, 0x8901, struct.pack('i', os.getppid()))",
    "lease": "fcntl.fcntl(f, 1024, 0)",
    "notes of changes": "fcntl.fcntl(os.open('.', 0), fcntl.F_NOTIFY, 1)",
    "large pipe": "fcntl.fcntl(r, 1031, 1 << 20)",
    "flags of a file": "fcntl.ioctl(f, 0x40086602, struct.pack('l', 16))",
    "terminal input": "fcntl.ioctl(0, 0x5412, b'x')",
    "descriptors through a socket": "socket.send_fds(s, [b'x'], [r])",
    "urgent data": "s.send(b'x', socket.MSG_OOB)",
    "datagrams": "socket.socketpair(type=socket.SOCK_DGRAM)",
    "memory file": "os.memfd_create('x')",
    "blocks beyond the limit": "check(libc.fallocate(f, 1, 0, ctypes.c_long(1 << 40)))",
    "every byte to the disk": "os.open('g', os.O_CREAT | os.O_WRONLY | os.O_SYNC)",
    "huge pages": "mmap.mmap(-1, 1 << 21, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)",
    "new call": "check(libc.syscall(467, 0, 0, 0, 0, 0))",
    "call of tomorrow": "check(libc.syscall(1000))",
    "mode": "os.chmod(f, 0o777)",
    "times": "os.utime(f)",
    "device": "os.mkfifo('p')",
    "namespace": "check(libc.unshare(0x10000000))",
    "process by handle": "os.pidfd_open(os.getppid())",
    "thread with files of its own": f"check(libc.syscall({CLONE}, 0x3d0b00, 0, 0, 0, 0))",
}


def reaching(how: str) -> str:
    return f"""
import ctypes, fcntl, mmap, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def check(answer):
    if answer == -1: raise OSError(ctypes.get_errno(), "refused")
r, w = os.pipe()
s, t = socket.socketpair()
f = os.open("f", os.O_CREAT | os.O_RDWR)
try:
    {how}
except OSError as error:
    print("refused")
os.write(w, b"x")
t.send(b"x")
"""


@needs_calls
def test_what_reaches_the_zygote_or_the_machine_is_refused(
    executor: LocalExecutor, run: Run
) -> None:
    run("print()")
    zygotes = [pid for worker in children_of(os.getpid()) for pid in children_of(worker)]
    let_through = [
        name for name, how in REACHES.items() if run(reaching(how)).stdout != "refused\n"
    ]
    assert let_through == []
    assert run("print(6 * 7)").stdout == "42\n"
    assert [p for w in children_of(os.getpid()) for p in children_of(w)] == zygotes


HONEST = {
    "syncing": "os.fsync(f); os.fdatasync(f); os.sync()",
    "locks": "fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)",
    "no blocking": "os.set_blocking(r, False); s.setblocking(False)",
    "attributes": "import shutil; shutil.copyfile('f', 'g'); shutil._copyxattr('f', 'g')",
    "space": "os.posix_fallocate(f, 0, 100); os.truncate(f, 10)",
    "waiting": "import select; select.epoll().poll(0); os.eventfd(1)",
    "timers": "import signal; signal.setitimer(signal.ITIMER_REAL, 0); signal.alarm(0)",
    "signals to itself": "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); "
    "os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)",
    "limits": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))",
    "whole files": "os.sendfile(os.open('g', os.O_CREAT | os.O_WRONLY), f, 0, 1)",
    "descriptors": "os.dup(r); os.dup2(r, 40); os.closerange(50, 60)",
}


@needs_calls
@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_are_not_refused(run: Run, name: str) -> None:
    seen = run(reaching(HONEST[name]) + "print('done')")
    assert (seen.stdout, seen.error_type) == ("done\n", None), seen


THREADS = """
import threading
threading.stack_size(32768)
stop = threading.Event()
made = 1
try:
    for _ in range(1000):
        threading.Thread(target=stop.wait).start()
        made += 1
except RuntimeError:
    pass
stop.set()
print(made)
"""
ONE_AFTER_ANOTHER = """
import threading
for _ in range(300):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
print("done")
"""
needs_threads = pytest.mark.skipif(
    not describe_isolation().threads, reason="this kernel does not ask about threads"
)


@needs_threads
@pytest.mark.parametrize("most", [1, 8, 64])
def test_a_process_has_as_many_threads_as_its_limit(run: Run, most: int) -> None:
    limits = dataclasses.replace(LIMITS, threads=most)
    assert run(THREADS, limits=limits).stdout == f"{most}\n"


@needs_threads
def test_threads_that_have_ended_do_not_count(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, threads=64)  # some are still on their way out
    assert run(ONE_AFTER_ANOTHER, limits=limits).stdout == "done\n"


@needs_threads
def test_a_thread_of_a_killed_program_is_waited_for_by_nobody(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, cpu_seconds=0.2, threads=8)
    endless = "import threading\nwhile True:\n    threading.Thread(target=int).start()"
    assert run(endless, limits=limits).reason is ExitReason.CPU_LIMIT
    assert run("print(42)").stdout == "42\n"
