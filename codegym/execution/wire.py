"""Requests to messages, frames to observations."""

from __future__ import annotations

import dataclasses
import json
import marshal
from collections.abc import Iterable
from typing import assert_never

from codegym.errors import ConfigurationError, ExecutionError, RequestTooLargeError
from codegym.execution import values
from codegym.execution.files import check_files
from codegym.execution.limits import ExecutionLimits
from codegym.execution.packages import checked_names
from codegym.execution.result import Call, Observation, Request, Stdin, TestCode
from codegym.execution.sandbox.protocol import ExitReason, Frame, pack_request
from codegym.problems.problem import (
    CallTest,
    CodeTest,
    StdinTest,
    UnitTest,
    complaint,
    is_entry_point,
)
from codegym.programs.executed import ExecutedLines

__all__ = ["Message", "observe"]

_REPORT_BYTES_MINIMUM = 1 << 22
_GRACE_SECONDS = 10.0
_MOST_BYTES = 2**31  # a length is told in four bytes, and the head needs some as well
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
        self._files = [data for _, data in request.files]
        self._encoded = [_encode_input(given) for given in request.inputs]
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
            "files": [(name, len(data)) for name, data in request.files],
            "fetch": list(dict.fromkeys(request.fetch)),
            "report_bytes": max(_REPORT_BYTES_MINIMUM, limits.output_bytes),
        }

    def part(self, inputs: range) -> tuple[bytes, str | None]:
        """The message for some of the inputs, and their test code, which only testers may see.

        Raises:
            RequestTooLargeError: If they are more than a worker takes.
        """
        chosen = self._encoded[inputs.start : inputs.stop]
        kinds = [[kind, len(text)] for kind, text in chosen]
        body = (self._program, self._prelude, *(text for _, text in chosen), *self._files)
        codes = self._codes[inputs.start : inputs.stop]
        size = sum(map(len, body))
        if size > _MOST_BYTES:
            raise RequestTooLargeError(
                f"A request has {size} bytes, and a worker takes {_MOST_BYTES}. Send fewer or "
                "smaller tests.",
                _MOST_BYTES,
            )
        message = pack_request({**self._head, "inputs": kinds}, body)
        return message, json.dumps(codes) if any(codes) else None


def _check(request: Request) -> None:
    if not isinstance(request, Request):
        raise ConfigurationError(
            f"An executor runs a Request, got {type(request).__name__}. Make one with "
            "Request(program, (Stdin(text),)), or give programs to a Grader."
        )
    for name, (kinds, expected) in _FIELDS.items():
        value = getattr(request, name)
        if not isinstance(value, kinds):
            raise ConfigurationError(
                f"Request.{name} must be {expected}, got {type(value).__name__}."
            )
    checked_names(request.packages)
    check_files(request.files, request.fetch)
    if not request.inputs:
        raise ConfigurationError("Request.inputs is empty: name at least one input to run on.")
    for given in request.inputs:
        if not _is_input(given):
            raise ConfigurationError(
                "An input of a Request must be a Stdin with a str, a Call with a tuple of "
                "arguments, (name, value) pairs and an expression or None, or a TestCode with "
                f"source, a function's name, lines and classes as in CodeTest; got {given!r:.200}."
            )
    if request.entry_point is not None and not is_entry_point(request.entry_point):
        raise ConfigurationError(
            'Request.entry_point must be "name", "Class().method" or None, got '
            f"{request.entry_point!r:.100}."
        )
    if request.entry_point is None and any(not isinstance(one, Stdin) for one in request.inputs):
        raise ConfigurationError(
            "Request.entry_point is None, but an input is a call: name the function "
            '("name" or "Class().method").'
        )


_SOURCE = str, "a str with Python source"
_FIELDS: dict[str, tuple[tuple[type, ...] | type, str]] = {
    "program": _SOURCE,
    "prelude": _SOURCE,
    "inputs": ((tuple, list), "a tuple of inputs"),
    "entry_point": ((str, type(None)), '"name", "Class().method" or None'),
    "limits": (ExecutionLimits, "ExecutionLimits"),
    "coverage": (bool, "True or False"),
    "stop_on_error": (bool, "True or False"),
}


def _is_input(given: object) -> bool:
    match given:
        case Stdin():
            test: UnitTest = StdinTest(given.text, "")
        case Call():
            test = CallTest(given.args, None, given.kwargs, expression=given.expression)
        case TestCode():
            test = CodeTest(given.source, given.name, given.setup, given.checks, given.classes)
        case _:
            return False
    return complaint(test) is None


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


def observe(frame: Frame) -> Observation:
    """What a frame says happened.

    Raises:
        ExecutionError: If the problem's own prelude or test code failed, which is not the
            program's fault.
    """
    error = frame.error
    if frame.reason in _FAULTS:
        said = f"{error.type}: {error.message}"
        raise ExecutionError(_FAULTS[frame.reason].format(said))
    return Observation(
        frame.reason,
        answer=frame.answer,
        stdout=frame.stdout.decode("utf-8", "replace"),
        stderr=frame.stderr.decode("utf-8", "replace"),
        exit_code=frame.exit_code,
        error_type=error.type,
        error_message=error.message,
        error_line=error.line,
        checks_passed=frame.checks,
        executed_lines=ExecutedLines(frame.lines, frame.statements),
        cpu_seconds=frame.cpu_seconds,
        wall_seconds=frame.wall_seconds,
        peak_memory_bytes=frame.memory_bytes,
        files=tuple(frame.files),
    )


_FAULTS = {
    ExitReason.PRELUDE_FAILED: "The prelude of the problem failed before the program ran: {}. "
    "Install what it imports for the worker's interpreter, or mend the problem.",
    ExitReason.TEST_BROKEN: "The test code of the problem is at fault, not the program: {}. Mend "
    "the problem, or leave it out.",
}
