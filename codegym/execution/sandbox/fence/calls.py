"""The system calls that exist for a program: everything else is unknown to it.

Traced from honest programs (`benchmarks/system_calls.py` has the counts) and completed by
families: where a program needs one way to read, wait or look at a clock, it may use the others.
Which arguments some of them may have is said in `seccomp.py`.

Numbers are (x86_64, aarch64), None where the architecture lacks the call. Those of aarch64 are
untested until somebody runs them there.
"""

from __future__ import annotations

Numbers = dict[str, tuple[int | None, int | None]]

ALLOWED: Numbers = {
    # input and output
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70),
    "lseek": (8, 62), "close": (3, 57), "close_range": (436, 436),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None),
    "pipe2": (293, 59), "eventfd": (284, None), "eventfd2": (290, 19), "sendfile": (40, 71),
    "copy_file_range": (326, 285), "fstat": (5, 80), "ftruncate": (77, 46),
    "fadvise64": (221, 223), "readahead": (187, 213), "flock": (73, 32),
    "fchdir": (81, 50), "getdents": (78, None), "getdents64": (217, 61), "fstatfs": (138, 44),
    # paths
    "creat": (85, None), "stat": (4, None),
    "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37), "symlink": (88, None),
    "symlinkat": (266, 36), "truncate": (76, 45), "chdir": (80, 49), "getcwd": (79, 17),
    "umask": (95, 166), "statfs": (137, 43),
    # waiting
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441),
    "timerfd_create": (283, 85), "timerfd_settime": (286, 86), "timerfd_gettime": (287, 87),
    "wait4": (61, 260), "waitid": (247, 95),
    # sockets
    "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205),
    "getsockopt": (55, 209),
    # memory
    "brk": (12, 214), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "mbind": (237, 235), "mseal": (462, 462),
    # threads
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96),
    "gettid": (186, 178), "sched_yield": (24, 124), "getcpu": (309, 168), "exit": (60, 93),
    "exit_group": (231, 94), "arch_prctl": (158, None),
    # scheduling
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_getattr": (315, 275),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_rr_get_interval": (148, 127), "getpriority": (140, 141),
    # signals
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132), "pause": (34, None), "alarm": (37, None), "setitimer": (38, 103),
    "getitimer": (36, 102), "restart_syscall": (219, 128),
    # time
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getrusage": (98, 165),
    # who and where
    "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156),
    "capget": (125, 90), "uname": (63, 160), "sysinfo": (99, 179), "getrandom": (318, 278),
    "getrlimit": (97, 163),
    # the sandbox
    "setsid": (112, 157), "landlock_restrict_self": (446, 446),
}  # fmt: skip
"""What may be called, whatever the arguments are."""

DEPENDS: Numbers = {
    "open": (2, None), "openat": (257, 56), "fallocate": (285, 47), "preadv2": (327, 286),
    "pwritev2": (328, 287),
    "fork": (57, None), "clone": (56, 220), "fcntl": (72, 25), "ioctl": (16, 29),
    "mmap": (9, 222), "madvise": (28, 233), "membarrier": (324, 283), "socketpair": (53, 199),
    "setsockopt": (54, 208), "sendto": (44, 206), "recvfrom": (45, 207), "recvmsg": (47, 212),
    "sched_setaffinity": (203, 122), "prctl": (157, 167), "kill": (62, 129), "tgkill": (234, 131),
    "prlimit64": (302, 261),
}  # fmt: skip
"""What may be called with some arguments, or by some processes only."""

REFUSED: Numbers = {
    "seccomp": (317, 277),
    "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "tkill": (200, 130),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "setpgid": (109, 154),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211), "memfd_create": (319, 279),
    "mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159),
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "sethostname": (170, 161), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "setrlimit": (160, 164), "splice": (275, 76),
}  # fmt: skip
"""What the standard library calls for programs, which then get a `PermissionError`."""

PRETENDED: Numbers = {
    "sync": (162, 81), "syncfs": (306, 267), "fsync": (74, 82), "fdatasync": (75, 83),
    "sync_file_range": (277, 84), "msync": (26, 227),
}  # fmt: skip
"""What succeeds and does nothing: no file of a program outlives it, so none needs a disk."""

UNSUPPORTED: Numbers = {
    "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11),
    "llistxattr": (195, 12), "flistxattr": (196, 13),
}  # fmt: skip
"""What is answered as by a file system without extended attributes, which `shutil` expects."""
