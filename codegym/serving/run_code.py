"""SandboxFusion's `/run_code`: its request as one of ours, and what was seen as its answer.

As there: defaults, names and meanings of the fields, `Success` only for exit code 0, `Failed` for
any other and for a time limit, `SandboxError` where the sandbox failed. What differs is told in
`docs/serving.md`.
"""

from __future__ import annotations

import base64
import binascii
import json
import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

from codegym.errors import ConfigurationError
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import ExitReason, Observation, Request, Stdin
from codegym.execution.sandbox.fence.files import MOST_BYTES
from codegym.problems.reading.json_values import unique_keys

__all__ = ["RunCode", "read_object", "read_run_code", "run_code_answer", "sandbox_error"]

_DEFAULT_SECONDS = 10.0
_DEFAULT_MEMORY = 2**30
_OUTPUT_BYTES = 8 * 2**20
_FILE_BYTES = 16 * 2**20
_OPEN_FILES = 256
_PLACEHOLDER = "IGNORE_THIS_FILE"
_TIME_LIMITS = (ExitReason.CPU_LIMIT, ExitReason.WALL_LIMIT)
_KILLED = -9
_LARGEST = 1e12


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds, in UTF-8.

    `json.loads` takes bytes in UTF-16 and UTF-32 as well, in which the bytes of brackets and quotes
    are parts of other characters, and the values that a body holds could not be counted before.

    Raises:
        ConfigurationError: If it holds none, or one in which a key stands twice.
    """
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The body must be a JSON object, encoded in UTF-8 without a byte order mark: {error}."
        ) from error
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"The body must be a JSON object, got a value of type {type(found).__name__}."
        )
    return found


class RunCode(NamedTuple):
    """What is to be run.

    Attributes:
        request: A program with one input.
        fetch: Files that are wanted afterwards, as they were named, each by one name.
    """

    request: Request
    fetch: tuple[str, ...]


def read_run_code(body: bytes) -> RunCode:
    """What is to be run.

    Raises:
        ConfigurationError: If it asks for another language, or a field has no meaning.
    """
    fields = read_object(body)
    language = fields.get("language")
    if language != "python":
        raise ConfigurationError(
            f"language must be 'python', got {language!r:.40}: this server runs Python programs "
            "only. For other languages run SandboxFusion itself."
        )
    if not isinstance(fields.get("code"), str):
        raise ConfigurationError(f"code must be text, got {fields.get('code')!r:.80}.")
    stdin = fields.get("stdin")
    if not isinstance(stdin, str | None):
        raise ConfigurationError(f"stdin must be text or null, got {stdin!r:.80}.")
    _number(fields, "compile_timeout", _DEFAULT_SECONDS)
    seconds = _number(fields, "run_timeout", _DEFAULT_SECONDS)
    if seconds <= 0:
        raise ConfigurationError(f"run_timeout must be more than 0 seconds, got {seconds:g}.")
    megabytes = _number(fields, "memory_limit_MB", -1)
    fetch = _fetch(fields.get("fetch_files", []))
    request = Request(
        program=fields["code"],
        inputs=(Stdin(stdin or ""),),
        limits=ExecutionLimits(
            cpu_seconds=seconds,
            wall_seconds=seconds,
            memory_bytes=int(megabytes * 2**20) if megabytes > 0 else _DEFAULT_MEMORY,
            output_bytes=_OUTPUT_BYTES,
            file_bytes=_FILE_BYTES,
            open_files=_OPEN_FILES,
        ),
        coverage=False,
        files=_files(fields.get("files", {})),
        fetch=tuple(map(posixpath.normpath, fetch)),
    )
    return RunCode(request, fetch)


def run_code_answer(asked: RunCode, seen: Observation) -> dict[str, Any]:
    """What SandboxFusion would answer. It holds no more of files than was fetched.

    Args:
        asked: What was run.
        seen: What was seen.
    """
    limits, files = asked.request.limits, dict(seen.files)
    status, code, note = "Finished", seen.exit_code, ""
    match seen.reason:
        case ExitReason.CPU_LIMIT | ExitReason.WALL_LIMIT:
            status = "TimeLimitExceeded"
        case ExitReason.EXCEPTION:
            code = 1  # what it printed of it stands in `stderr`
        case ExitReason.COMPILE_ERROR:
            where = f'  File "program.py", line {seen.error_line}\n' if seen.error_line else ""
            code, note = 1, f"{where}{seen.error_type}: {seen.error_message}\n"
        case ExitReason.MEMORY_LIMIT:
            most = limits.memory_bytes // 2**20
            code = 1 if seen.error_type == "MemoryError" else _KILLED
            note = f"MemoryError: the program needed more than {most} MiB\n"
        case ExitReason.OUTPUT_LIMIT:
            most = limits.output_bytes // 2**20
            code, note = _KILLED, f"The program printed more than {most} MiB, and was killed\n"
            if asked.fetch:
                note = (
                    f"The program printed more than {most} MiB, or left more than "
                    f"{MOST_BYTES // 2**20} MiB in the files of fetch_files\n"
                )
    succeeded = status == "Finished" and code == 0
    return {
        "status": "Success" if succeeded else "Failed",
        "message": "",
        "compile_result": None,
        "run_result": {
            "status": status,
            "execution_time": seen.wall_seconds,
            "return_code": None if seen.reason in _TIME_LIMITS else code,
            "stdout": seen.stdout,
            "stderr": seen.stderr + note,
        },
        "executor_pod_name": None,
        "files": {
            name: base64.b64encode(files[path]).decode("ascii")
            for name in asked.fetch
            if (path := posixpath.normpath(name)) in files
        },
    }


def sandbox_error(message: str) -> dict[str, Any]:
    """What SandboxFusion answers where the sandbox failed, and not the program."""
    return {
        "status": "SandboxError",
        "message": message,
        "compile_result": None,
        "run_result": None,
        "executor_pod_name": None,
        "files": {},
    }


def _number(fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_LARGEST < value < _LARGEST:
        raise ConfigurationError(f"{name} must be a number, got {value!r:.80}.")
    return float(value)


def _files(files: Any) -> tuple[tuple[str, bytes], ...]:
    if not isinstance(files, dict):
        raise ConfigurationError(f"files must be an object of paths and base64, got {files!r:.80}.")
    found = []
    for name, content in files.items():
        if content is None or _PLACEHOLDER in name:
            continue
        try:
            data = base64.b64decode(content)
        except (TypeError, ValueError, binascii.Error) as error:
            raise ConfigurationError(
                f"files[{name!r:.80}] must be base64 or null, got {content!r:.40}: {error}."
            ) from error
        found.append((posixpath.normpath(name), data))
    return tuple(found)


def _fetch(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"fetch_files must be a list of paths, got {names!r:.80}.")
    spelled: dict[str, str] = {}
    for name in names:
        path = posixpath.normpath(name)
        other = spelled.setdefault(path, name)
        if other != name:  # else the answer would hold the file once for each spelling
            raise ConfigurationError(
                f"fetch_files names the file {path!r:.80} as {other!r:.80} and as {name!r:.80}. "
                "Name each file in one way."
            )
    return tuple(spelled.values())
