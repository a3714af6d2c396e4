"""Requests and results as bytes, for a server that runs programs: see `remote.py`.

JSON in UTF-8 in which every text is what it was, lone surrogates included, so that nothing that a
program or a test could tell apart is changed on the way. What a program returned stays bytes, and
is looked into by no one here, and neither are the arguments of a call: the process that is called
with them decodes them. To read a message takes time in proportion to its length.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

from codegym.errors import ConfigurationError
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import (
    Call,
    ExitReason,
    Observation,
    Request,
    Result,
    Stdin,
    TestCode,
)
from codegym.execution.sandbox.codec import from_json, to_json
from codegym.execution.values import EncodedValue, encode_value
from codegym.programs.executed import ExecutedLines

__all__ = ["WIRE_VERSION", "pack_request", "pack_result", "unpack_request", "unpack_result"]

WIRE_VERSION = 2
"""Rises when a message changes; both sides must have the same."""
_DAMAGED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def pack_request(request: Request) -> bytes:
    """The message that asks for a request to be run.

    Raises:
        ConfigurationError: If a call's arguments are not plain data.
    """
    fields = {
        "wire": WIRE_VERSION,
        "program": request.program,
        "inputs": [_pack_input(given) for given in request.inputs],
        "entry_point": request.entry_point,
        "prelude": request.prelude,
        "limits": dataclasses.asdict(request.limits),
        "coverage": request.coverage,
        "stop_on_error": request.stop_on_error,
        "packages": list(request.packages),
        "files": _pack_files(request.files),
        "fetch": list(request.fetch),
    }
    return to_json(fields)


def unpack_request(message: bytes) -> Request:
    """The request that a message asks for. An executor checks what its fields hold.

    The arguments of its calls are :class:`~codegym.execution.values.EncodedValue`.

    Raises:
        ConfigurationError: If it is no such message, or one of another version.
    """
    try:
        fields = from_json(message)
        version = fields.pop("wire")
        if version != WIRE_VERSION:
            raise ConfigurationError(
                f"The message has wire version {version!r:.40}, and this is {WIRE_VERSION}. "
                "Install the same codegym on both sides."
            )
        return Request(
            program=fields["program"],
            inputs=tuple(_unpack_input(*given) for given in fields["inputs"]),
            entry_point=fields["entry_point"],
            prelude=fields["prelude"],
            limits=ExecutionLimits(**fields["limits"]),
            coverage=fields["coverage"],
            stop_on_error=fields["stop_on_error"],
            packages=tuple(fields["packages"]),
            files=_unpack_files(fields["files"]),
            fetch=tuple(fields["fetch"]),
        )
    except ConfigurationError:
        raise
    except _DAMAGED as error:
        raise ConfigurationError(
            f"This is no request as codegym.execution.HTTPExecutor sends it: {error!r:.200}"
        ) from error


def pack_result(result: Result) -> bytes:
    """The message that tells a result."""
    return to_json([_pack_observation(one) for one in result.observations])


def unpack_result(message: bytes) -> Result:
    """The result that a message tells.

    Raises:
        ValueError: If it is no such message.
    """
    try:
        observations = from_json(message)
        if not isinstance(observations, list):
            raise TypeError(f"expected a list, got {type(observations).__name__}")
        return Result(tuple(_unpack_observation(*fields) for fields in observations))
    except _DAMAGED as error:
        raise ValueError(f"no result: {error!r:.200}") from error


def _pack_input(given: Stdin | Call | TestCode) -> list[Any]:
    match given:
        case Stdin():
            return ["stdin", given.text]
        case Call():
            args = [_as_text(_encoded(value)) for value in given.args]
            kwargs = [[name, _as_text(_encoded(value))] for name, value in given.kwargs]
            return ["call", args, kwargs, given.expression]
        case TestCode():
            classes = [[name, list(names)] for name, names in given.classes]
            return ["code", given.source, given.name, given.setup, list(given.checks), classes]


def _unpack_input(kind: str, *fields: Any) -> Stdin | Call | TestCode:
    if kind == "stdin":
        (text,) = fields
        return Stdin(text)
    if kind == "call":
        args, kwargs, expression = fields
        return Call(
            tuple(EncodedValue(_as_bytes(value)) for value in args),
            tuple((name, EncodedValue(_as_bytes(value))) for name, value in kwargs),
            expression,
        )
    if kind == "code":
        source, name, setup, checks, classes = fields
        known = tuple((owner, tuple(names)) for owner, names in classes)
        return TestCode(source, name, setup, tuple(checks), known)
    raise ValueError(f"an input of kind {kind!r:.40}")


def _encoded(argument: Any) -> bytes:
    return argument.data if isinstance(argument, EncodedValue) else encode_value(argument)


def _pack_observation(seen: Observation) -> list[Any]:
    lines = seen.executed_lines
    statements = sorted(lines.statements) if isinstance(lines, ExecutedLines) else None
    return [
        seen.reason.value,
        None if seen.answer is None else _as_text(seen.answer),
        seen.stdout,
        seen.stderr,
        seen.exit_code,
        [seen.error_type, seen.error_message, seen.error_line],
        seen.checks_passed,
        [sorted(lines), statements],
        [seen.cpu_seconds, seen.wall_seconds, seen.peak_memory_bytes],
        _pack_files(seen.files),
    ]


def _unpack_observation(
    reason: str,
    answer: str | None,
    stdout: str,
    stderr: str,
    exit_code: int,
    error: Sequence[Any],
    checks_passed: int,
    executed: Sequence[Any],
    used: Sequence[Any],
    files: Any,
) -> Observation:
    error_type, error_message, error_line = error
    lines, statements = executed
    cpu_seconds, wall_seconds, peak_memory_bytes = used
    return Observation(
        ExitReason(reason),
        answer=None if answer is None else _as_bytes(answer),
        stdout=stdout,
        stderr=stderr,
        exit_code=exit_code,
        error_type=error_type,
        error_message=error_message,
        error_line=error_line,
        checks_passed=checks_passed,
        executed_lines=(
            frozenset(lines)
            if statements is None
            else ExecutedLines(lines, [(line, column) for line, column in statements])
        ),
        cpu_seconds=cpu_seconds,
        wall_seconds=wall_seconds,
        peak_memory_bytes=peak_memory_bytes,
        files=_unpack_files(files),
    )


def _pack_files(files: Sequence[tuple[str, bytes]]) -> list[list[str]]:
    return [[name, base64.b64encode(data).decode("ascii")] for name, data in files]


def _unpack_files(files: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, base64.b64decode(data, validate=True)) for name, data in files)


def _as_text(data: bytes) -> str:
    """Any bytes as text, one character for each; those of ASCII, as most are, stay readable."""
    return data.decode("latin-1")


def _as_bytes(text: str) -> bytes:
    return text.encode("latin-1")
