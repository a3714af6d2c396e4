"""Requests to messages, frames to observations."""

from __future__ import annotations

import json
from typing import Any, assert_never

from codegym.errors import ConfigurationError, ExecutionError
from codegym.execution import values
from codegym.execution.process import Frame
from codegym.execution.result import Call, ExitReason, Observation, Request, Stdin, TestCode

__all__ = ["Message", "observe"]

_REPORT_BYTES_MINIMUM = 1 << 22
_GRACE_SECONDS = 10.0
STRETCH = 4
"""Wall time does not count while a program waits for a CPU, up to this factor."""


class Message:
    """An encoded request.

    Args:
        request: What to encode.
        calls_per_child: How many calls may share a process.

    Attributes:
        body: What every process of a worker may see.
        codes: Test code by input, for testers only; or None.
        inputs: Number of inputs.
        patience: Seconds in which a healthy worker answers the next input.

    Raises:
        ConfigurationError: If the request holds anything but text and plain data, or no input.
    """

    def __init__(self, request: Request, calls_per_child: int = 1) -> None:
        for name in ("program", "prelude"):
            if not isinstance(getattr(request, name), str):
                raise ConfigurationError(
                    f"Request.{name} must be a str with Python source, got "
                    f"{type(getattr(request, name)).__name__}."
                )
        if not request.inputs:
            raise ConfigurationError("Request.inputs is empty: name at least one input to run on.")
        limits = request.limits
        needs_entry = any(not isinstance(given, Stdin) for given in request.inputs)
        if request.entry_point is None and needs_entry:
            raise ConfigurationError(
                "Request.entry_point is None, but an input is a call: name the function "
                '("name" or "Class().method").'
            )
        self.inputs = len(request.inputs)
        # Two attempts at an input (with and without tracing), each stretched on a busy machine.
        patience = 2 * STRETCH * limits.wall_seconds + _GRACE_SECONDS
        self.patience = patience + _GRACE_SECONDS
        body = {
            "program": request.program,
            "prelude": request.prelude,
            "entry_point": request.entry_point,
            "inputs": [_encode_input(given) for given in request.inputs],
            "limits": {
                "cpu_seconds": limits.cpu_seconds,
                "wall_seconds": limits.wall_seconds,
                "memory_bytes": limits.memory_bytes,
                "output_bytes": limits.output_bytes,
                "file_bytes": limits.file_bytes,
                "open_files": limits.open_files,
                "threads": limits.threads,
                "stretch": STRETCH,
            },
            "coverage": request.coverage,
            "calls_per_child": calls_per_child,
            "report_bytes": max(_REPORT_BYTES_MINIMUM, limits.output_bytes),
            "patience": patience,
        }
        self.body = json.dumps(body).encode("ascii")
        codes = [
            [given.source, given.name] if isinstance(given, TestCode) else None
            for given in request.inputs
        ]
        self.codes = json.dumps(codes) if any(codes) else None


def _encode_input(given: Stdin | Call | TestCode) -> list[Any]:
    match given:
        case Stdin():
            return ["stdin", given.text]
        case Call():
            kwargs = [[name, values.encode(value)] for name, value in given.kwargs]
            return ["call", [values.encode(arg) for arg in given.args], kwargs, given.expression]
        case TestCode():
            return ["code"]
        case _:
            assert_never(given)


_LIMITS = {
    "cpu": ExitReason.CPU_LIMIT,
    "wall": ExitReason.WALL_LIMIT,
    "output": ExitReason.OUTPUT_LIMIT,
}
_ERRORS = {
    "E": ExitReason.EXCEPTION,
    "D": ExitReason.EXCEPTION,
    "T": ExitReason.TEST_FAILED,
}


def observe(frame: Frame) -> Observation:
    """What a frame says happened. The report in it may be forged; it is only ever data.

    Raises:
        ExecutionError: If the problem's own prelude failed, which is no fault of the program.
    """
    header = frame.header
    if header["end"] == "compile_error":
        return Observation(ExitReason.COMPILE_ERROR, **_error(header["error"]))
    status = header.get("status", "\0")
    if header["end"] == "prelude" or status == "P":
        raise ExecutionError(
            "The prelude of the problem failed before the program ran: "
            f"{header if status != 'P' else frame.report[:500]!r}. Install what it imports for "
            "the worker's interpreter, or mend the problem."
        )
    return Observation(
        **_outcome(header, status, frame.report),
        stdout=frame.stdout.decode("utf-8", "replace"),
        stderr=frame.stderr.decode("utf-8", "replace"),
        executed_lines=frozenset(header["lines"]),
        cpu_seconds=header.get("cpu", 0.0),
        wall_seconds=header.get("wall", 0.0),
        peak_memory_bytes=header.get("memory", 0),
    )


def _outcome(header: dict[str, Any], status: str, report: bytes) -> dict[str, Any]:
    if header["end"] in _LIMITS:
        return {"reason": _LIMITS[header["end"]]}
    if status == "M":
        return {"reason": ExitReason.MEMORY_LIMIT, "error_type": "MemoryError"}
    if status == "O":
        return {"reason": ExitReason.OUTPUT_LIMIT}
    try:
        if status == "R" and header["end"] == "exit":
            return {
                "reason": ExitReason.FINISHED,
                "value": values.decode(report),
                "returned": True,
            }
        if status == "F" and header["end"] == "exit":
            return {
                "reason": ExitReason.FINISHED,
                "exit_code": int(json.loads(report)["exit_code"]),
            }
        if status in _ERRORS:
            return {"reason": _ERRORS[status], **_error(json.loads(report))}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass  # a forged report is as good as none
    number = header.get("signal", 0)
    how = f"died by signal {number}" if number else "left without a report"
    return {"reason": ExitReason.KILLED, "error_message": f"The program {how}."}


def _error(said: dict[str, Any]) -> dict[str, Any]:
    line = said["line"]
    return {
        "error_type": str(said["type"])[:100],
        "error_message": str(said["message"])[:500],
        "error_line": line if isinstance(line, int) and line > 0 else None,
    }
