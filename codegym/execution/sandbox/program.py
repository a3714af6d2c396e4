"""Compiles one program and runs it on its inputs, a child for each.

Compiling happens here, under the limits, so that a source that makes the compiler explode harms
nobody. No code of the program ever runs in this process.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import json
import linecache
import math
import os
import resource
import shutil
import struct
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from . import child, confine, report, supervise, tester, tracing

FRAME = struct.Struct("<4I")  # lengths of header, report, stdout, stderr
_NOTICEABLE = 0.03  # share of a time limit; a machine's own noise is larger
COMPILED = FRAME.pack(0, 0, 0, 0)


@dataclasses.dataclass
class Job:
    """What a worker tells a program process.

    Attributes:
        request: The decoded request.
        first: Index of the first input to run.
        out: Descriptor that the frames are written to.
        codes: Descriptor of the test code, or -1. Only testers read it.
        box: The private directory, empty.
        close_in: Enforces the kernel barriers (see `barrier.py`).
    """

    request: dict[str, Any]
    first: int
    out: int
    codes: int
    box: str
    close_in: Callable[[bool, int], None]


def main(job: Job) -> None:
    """Writes one frame for the compilation if it succeeds, then one for each input."""
    request = job.request
    inputs = request["inputs"][job.first :]
    try:
        code = _compile(request)
    except BaseException as error:
        _write(job.out, b"".join(make_frame(_compile_error(error)) for _ in inputs))
        return
    _write(job.out, COMPILED)
    prelude = None
    if request["prelude"]:
        try:
            prelude = compile(request["prelude"], "prelude.py", "exec", dont_inherit=True)
        except BaseException as error:
            # The problem's fault, not the program's: the parent raises it.
            header = {"end": "prelude", **_compile_error(error)["error"]}
            _write(job.out, b"".join(make_frame(header) for _ in inputs))
            return
    source = request["program"]
    if len(source) < 1 << 20:
        lines = source.splitlines(True)
        linecache.cache[child.FILENAME] = (len(source), None, lines, child.FILENAME)
    for frame in _run_all(job, code, prelude):
        _write(job.out, frame)


def _compile(request: dict[str, Any]) -> CodeType:
    limits = request["limits"]
    confine.soften(resource.RLIMIT_CPU, math.ceil(limits["cpu_seconds"]))
    confine.soften(resource.RLIMIT_AS, confine.address_space() + limits["memory_bytes"])
    try:
        source = request["program"].removeprefix("\ufeff")
        return compile(source, child.FILENAME, "exec", dont_inherit=True)
    finally:
        confine.soften(resource.RLIMIT_CPU, None)
        confine.soften(resource.RLIMIT_AS, None)


def _run_all(job: Job, code: CodeType, prelude: CodeType | None) -> Iterator[bytes]:
    request = job.request
    block = report.Report(request["report_bytes"], len(request["program"].splitlines()) + 1)
    program = child.Program(
        code=code,
        prelude=prelude,
        entry_point=request["entry_point"],
        limits=request["limits"],
        report=block,
        base_memory=0,
        box=job.box,
        close_in=job.close_in,
        start_tracing=tracing.watch(code, block) if request["coverage"] else None,
    )
    program.base_memory = confine.address_space()
    gc.freeze()  # what a collection in a child walks over, it has to copy
    bell = supervise.Bell()
    index, total = job.first, len(request["inputs"])
    while index < total:
        together = _calls_from(request, index)
        if len(together) > 1:
            frames = _run_together(job, program, together, bell)
            yield from frames
            index += len(frames)
            together = together[len(frames) :]
        for _ in together:
            yield _run(job, program, index, bell)
            empty_box(job.box)
            index += 1


def _calls_from(request: dict[str, Any], index: int) -> list[list[Any]]:
    """The inputs from `index` on that may share a child; at least one."""
    inputs = request["inputs"][index : index + request["calls_per_child"]]
    calls = list(itertools.takewhile(lambda given: given[0] == "call", inputs))
    return calls or inputs[:1]


def _run_together(
    job: Job, program: child.Program, calls: list[list[Any]], bell: supervise.Bell
) -> list[bytes]:
    """The frames of the first of `calls`, as many as one child could answer."""
    run = _start_and_watch(program, lambda: child.run_calls(program, calls), b"", bell)
    empty_box(job.box)
    reports = program.report.take_series()[: len(calls)]
    share = max(1, len(reports))
    run.cpu_seconds /= share
    run.wall_seconds /= share
    lines = program.report.take_lines()
    run.end = "exit"  # whatever came later, these calls were answered
    return [_frame_of(run, status, body, lines) for status, body in reports]


def _run(job: Job, program: child.Program, index: int, bell: supervise.Bell) -> bytes:
    status, body, run = _attempt(job, program, index, bell)
    lines = program.report.take_lines()
    if program.start_tracing is not None and _failed_by_tracing(program, status, run):
        empty_box(job.box)
        untraced = dataclasses.replace(program, start_tracing=None)
        status, body, run = _attempt(job, untraced, index, bell)
    return _frame_of(run, status, body, lines)


def _frame_of(run: supervise.Run, status: bytes, body: bytes, lines: list[int]) -> bytes:
    header = {
        "end": run.end,
        "status": status.decode("latin-1"),
        "signal": run.signal,
        "cpu": run.cpu_seconds,
        "wall": run.wall_seconds,
        "memory": run.peak_memory_bytes,
        "lines": lines,
    }
    return make_frame(header, body, bytes(run.stdout), bytes(run.stderr))


def _failed_by_tracing(program: child.Program, status: bytes, run: supervise.Run) -> bool:
    """Whether a run may have failed because it was observed; observing must never be the cause."""
    if not tracing.BY_TRACE:
        return False
    if status == report.RECURSION:
        return True  # the trace function takes a frame
    seconds = program.report.take_events() * tracing.EVENT_SECONDS
    limit: float = program.limits[f"{run.end}_seconds"] if run.end in ("cpu", "wall") else math.inf
    return seconds > _NOTICEABLE * limit


def _attempt(
    job: Job, program: child.Program, index: int, bell: supervise.Bell
) -> tuple[bytes, bytes, supervise.Run]:
    given = job.request["inputs"][index]
    if given[0] == "code":
        return tester.attempt(program, index, job.codes, bell)
    text = given[1].encode("utf-8", "surrogatepass") if given[0] == "stdin" else b""
    run = _start_and_watch(program, lambda: child.run(program, given), text, bell)
    return *program.report.take(), run


def _start_and_watch(
    program: child.Program, body: Callable[[], None], text: bytes, bell: supervise.Bell
) -> supervise.Run:
    stdin = os.memfd_create("stdin")
    if text:
        _write(stdin, text)
        os.lseek(stdin, 0, os.SEEK_SET)
    run = supervise.start(body, stdin)
    os.close(stdin)
    supervise.watch([run], bell, program.limits)
    supervise.kill_leftovers()
    return run


def _compile_error(error: BaseException) -> dict[str, Any]:
    line = error.lineno if isinstance(error, SyntaxError) else None
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    described = {"type": type(error).__name__, "message": str(message)[:500], "line": line}
    return {"end": "compile_error", "error": described}


def make_frame(header: dict[str, Any], *parts: bytes) -> bytes:
    """One answer: header, report, standard output, standard error."""
    segments = [json.dumps(header).encode("ascii"), *parts]
    segments += [b""] * (4 - len(segments))
    return FRAME.pack(*map(len, segments)) + b"".join(segments)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def empty_box(box: str) -> None:
    """Makes the private directory empty and accessible again, whatever a program did to it."""
    try:
        with os.scandir(box) as entries:
            found = list(entries)
    except FileNotFoundError:
        os.mkdir(box, 0o700)
        return
    except PermissionError:
        os.chmod(box, 0o700)
        empty_box(box)
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, onerror=_unlock)
        else:
            os.unlink(entry.path)


def _unlock(function: Callable[..., Any], path: str, _error: object) -> None:
    """Removes what a program made unremovable by taking its own rights away."""
    for locked in (os.path.dirname(path), path):
        if os.path.isdir(locked) and not os.path.islink(locked):
            os.chmod(locked, 0o700)
    if function in (os.unlink, os.remove, os.rmdir):
        function(path)
    else:
        shutil.rmtree(path, ignore_errors=True)
