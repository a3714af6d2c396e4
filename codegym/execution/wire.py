"""Requests to messages, frames to observations."""

from __future__ import annotations

import dataclasses
import json
import marshal
import struct
from collections.abc import Iterable
from typing import Any, assert_never

from codegym.errors import ConfigurationError, ExecutionError
from codegym.execution import values
from codegym.execution.limits import ExecutionLimits
from codegym.execution.process import Frame
from codegym.execution.result import Call, ExitReason, Observation, Request, Stdin, TestCode
from codegym.programs.executed import ExecutedLines

__all__ = ["Message", "observe", "same_for_all"]

_REPORT_BYTES_MINIMUM = 1 << 22
_GRACE_SECONDS = 10.0
_MARSHAL_VERSION = 4  # the worker may be of another Python version
_LIMIT_NAMES = tuple(field.name for field in dataclasses.fields(ExecutionLimits))
STRETCH = 4
"""Wall time does not count while a program waits for a CPU, up to this factor."""


class Message:
    """An encoded request.

    Args:
        request: What to encode.
        packages: What it may import beside its own.

    Attributes:
        inputs: Number of inputs.
        kinds: Of each input: ``"stdin"``, ``"call"`` or ``"code"``.
        patience: Seconds in which a healthy worker says something.

    Raises:
        ConfigurationError: If the request holds anything but text and plain data, or no input.
    """

    def __init__(self, request: Request, packages: Iterable[str] = ()) -> None:
        _check(request)
        limits = request.limits
        # An input may be run once more without tracing; each time it is stretched on a busy
        # machine.
        self.patience = 2 * STRETCH * limits.wall_seconds + _GRACE_SECONDS
        self.inputs = len(request.inputs)
        self._program = request.program.encode("utf-8", "surrogatepass")
        self._prelude = request.prelude.encode("utf-8", "surrogatepass")
        self._encoded = [_encode_input(given) for given in request.inputs]
        self.kinds = [kind for kind, _ in self._encoded]
        self._codes = [
            dataclasses.asdict(given) if isinstance(given, TestCode) else None
            for given in request.inputs
        ]
        self._head = {
            "program": len(self._program),
            "lines": 1 + request.program.count("\n") + request.program.count("\r"),
            "prelude": len(self._prelude),
            "entry_point": request.entry_point,
            "limits": {
                **{name: getattr(limits, name) for name in _LIMIT_NAMES},
                "stretch": STRETCH,
            },
            "packages": sorted({*packages, *request.packages}),
            "coverage": request.coverage,
            "stop_on_error": request.stop_on_error,
            "report_bytes": max(_REPORT_BYTES_MINIMUM, limits.output_bytes),
        }

    def part(self, inputs: range) -> tuple[bytes, str | None]:
        """The message for some of the inputs, and their test code, which only testers may see."""
        chosen = self._encoded[inputs.start : inputs.stop]
        kinds = [[kind, len(text)] for kind, text in chosen]
        head = json.dumps({**self._head, "inputs": kinds}).encode("ascii")
        body = b"".join([head, self._program, self._prelude, *(text for _, text in chosen)])
        codes = self._codes[inputs.start : inputs.stop]
        lengths = struct.pack("<2I", len(body), len(head))
        return lengths + body, json.dumps(codes) if any(codes) else None


def _check(request: Request) -> None:
    for name in ("program", "prelude"):
        if not isinstance(getattr(request, name), str):
            raise ConfigurationError(
                f"Request.{name} must be a str with Python source, got "
                f"{type(getattr(request, name)).__name__}."
            )
    if not request.inputs:
        raise ConfigurationError("Request.inputs is empty: name at least one input to run on.")
    needs_entry = any(not isinstance(given, Stdin) for given in request.inputs)
    if request.entry_point is None and needs_entry:
        raise ConfigurationError(
            "Request.entry_point is None, but an input is a call: name the function "
            '("name" or "Class().method").'
        )


def _encode_input(given: Stdin | Call | TestCode) -> tuple[str, bytes]:
    match given:
        case Stdin():
            return "stdin", given.text.encode("utf-8", "surrogatepass")
        case Call():
            kwargs = [[name, values.encode(value)] for name, value in given.kwargs]
            call = [[values.encode(arg) for arg in given.args], kwargs, given.expression]
            return "call", marshal.dumps(call, _MARSHAL_VERSION)
        case TestCode():
            return "code", b""
        case _:
            assert_never(given)


_LIMITS = {
    "cpu": ExitReason.CPU_LIMIT,
    "wall": ExitReason.WALL_LIMIT,
    "output": ExitReason.OUTPUT_LIMIT,
    "memory": ExitReason.MEMORY_LIMIT,
}
_ERRORS = {
    "E": ExitReason.EXCEPTION,
    "D": ExitReason.EXCEPTION,
    "T": ExitReason.TEST_FAILED,
}
_MAY_SAY = {"stdin": "FEDM", "call": "REDMO", "code": "REDMOT"}
"""What a report on each kind of input can say. Of test code, `R` and `T` are its tester's word."""

_COMPILE_ERROR, _PRELUDE = "C", "P"
_TEST_BROKEN = "B"  # said by testers only
_ERROR_BYTES = 1 << 14
_TYPE_CHARACTERS, _MESSAGE_CHARACTERS = 100, 500


def observe(frame: Frame, kind: str) -> Observation:
    """What a frame says happened. The report in it may be forged; it is only ever data.

    Args:
        frame: The answer to one input.
        kind: Of the input, as in :attr:`Message.kinds`.

    Raises:
        ExecutionError: If the problem's own prelude or test code failed, which is no fault of the
            program.
    """
    header = frame.header
    # This was told before the program's own code ran, so it is true.
    if header["told"] == _PRELUDE:
        raise ExecutionError(
            "The prelude of the problem failed before the program ran: "
            f"{frame.report[:500]!r}. Install what it imports for the worker's interpreter, or "
            "mend the problem."
        )
    if kind == "code" and header["status"] == _TEST_BROKEN:
        raise ExecutionError(
            "The test code of the problem is at fault, not the program: "
            f"{_error(frame.report)}. Mend the problem, or leave it out."
        )
    if header["told"] == _COMPILE_ERROR:
        return Observation(ExitReason.COMPILE_ERROR, **(_error(frame.report) or {}))
    return Observation(
        **_outcome(header, frame.report, kind),
        stdout=frame.stdout.decode("utf-8", "replace"),
        stderr=frame.stderr.decode("utf-8", "replace"),
        checks_passed=header["checks"],
        executed_lines=ExecutedLines(header["lines"], map(tuple, header["statements"])),
        cpu_seconds=header["cpu"],
        wall_seconds=header["wall"],
        peak_memory_bytes=header["memory"],
    )


def same_for_all(frame: Frame) -> bool:
    """Whether the program ended before it came to its input: so it will on every other."""
    return bool(frame.header["alike"])


def _outcome(header: dict[str, Any], report: bytes, kind: str) -> dict[str, Any]:
    if header["end"] in _LIMITS:
        return {"reason": _LIMITS[header["end"]]}
    status = header["status"] if header["status"] in _MAY_SAY[kind] else ""
    exited = header["end"] == "exit"
    if status == "M":
        return {"reason": ExitReason.MEMORY_LIMIT, "error_type": "MemoryError"}
    if status == "O":
        return {"reason": ExitReason.OUTPUT_LIMIT}
    if status == "R" and exited:
        return {"reason": ExitReason.FINISHED, "answer": report}
    if status == "F" and exited and report.isdigit() and len(report) < 4:
        return {"reason": ExitReason.FINISHED, "exit_code": int(report)}
    if status in _ERRORS:
        error = _error(report)
        if error is not None:
            return {"reason": _ERRORS[status], **error}
    if header["end"] == "exit" and header["exit_code"] is not None:
        # A script may end itself by `os._exit`: the kernel knows how.
        return {"reason": ExitReason.FINISHED, "exit_code": header["exit_code"]}
    number = header["signal"]
    how = f"died by signal {number}" if number else "left without a report"
    return {"reason": ExitReason.KILLED, "error_message": f"The program {how}."}


def _error(report: bytes) -> dict[str, Any] | None:
    """What a report says of an exception; None if it is none, as a forged one may be."""
    if len(report) > _ERROR_BYTES:  # no honest one is, see `loading.describe`
        return None
    try:
        said = json.loads(report)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    line = said.get("line")
    return {
        "error_type": _cut(said.get("type"), _TYPE_CHARACTERS),
        "error_message": _cut(said.get("message"), _MESSAGE_CHARACTERS),
        "error_line": line if type(line) is int and 0 < line < 1 << 31 else None,
    }


def _cut(said: Any, characters: int) -> str:
    """Text of some length at most that can be written to any stream or file."""
    text = said[:characters] if isinstance(said, str) else ""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:characters]
