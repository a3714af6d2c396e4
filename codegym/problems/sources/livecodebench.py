"""LiveCodeBench, code generation (Jain et al., 2024). It has no reference solutions.

Private tests come as JSON, or as base64 of zlib of a pickle of one JSON text. A pickle can run
code, so it is admitted only if it consists of the few instructions that build a single text.
"""

from __future__ import annotations

import base64
import binascii
import io
import pickle
import pickletools
import zlib
from typing import Any, NoReturn

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.json_values import from_json, parse_json
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["LIVECODEBENCH", "decode_private_tests"]

_HUB = "https://huggingface.co/datasets/livecodebench/code_generation_lite/resolve/main"
_ID = ("question_id",)
_RELEASES = tuple(f"release_v{number}" for number in range(1, 7))
_MOST_BYTES = 512 * 2**20
_TEXT_OPCODES = {
    *("PROTO", "FRAME", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"),
}


def _parse(row: Row) -> Problem:
    cases = [*_cases(row, "public_test_cases"), *_cases(row, "private_test_cases")]
    if not cases:
        raise ProblemError("it has no tests: neither public nor private ones")
    metadata = from_json(row.first("metadata") or "{}", what="'metadata'")
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    starter = row.optional_text("starter_code")
    judged = read_cases(
        cases, name=name or None, starter=starter, prelude=LIVECODEBENCH_PRELUDE, what="the tests"
    )
    return Problem(
        id=row.identifier(*_ID) or f"row-{row.index}",
        description=row.text("question_content"),
        canonical_solution="",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        difficulty=row.difficulty("difficulty"),
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={
            name: row.first(name)
            for name in ("question_title", "platform", "contest_id", "contest_date")
        }
        | {"public_tests": len(_cases(row, "public_test_cases"))},
    )


def _day(row: Row) -> str:
    return row.text("contest_date")


def _cases(row: Row, field: str) -> list[dict[str, Any]]:
    value = row.first(field)
    if value is None or value == "":
        return []
    if isinstance(value, str):
        value = _decoded(value, field)
    if not isinstance(value, list):
        raise ProblemError(f"{field!r} must be a list of tests, got {type(value).__name__}")
    for number, case in enumerate(value):
        if not isinstance(case, dict) or not {"input", "output"} <= set(case):
            raise ProblemError(f"{field}[{number}] must have 'input' and 'output'")
    return [{"testtype": "stdin", **case} for case in value]


def _decoded(text: str, field: str) -> Any:
    try:
        return parse_json(text)
    except ProblemError as error:
        raise ProblemError(f"in {field!r}, {error}") from error
    except ValueError:
        pass
    try:
        return parse_json(decode_private_tests(text))
    except ProblemError as error:
        raise ProblemError(f"in {field!r}, {error}") from error
    except ValueError as error:
        raise ProblemError(f"{field!r} is neither JSON nor packed JSON: {error}") from error


def decode_private_tests(text: str, *, most_bytes: int = _MOST_BYTES) -> str:
    """The JSON text of packed tests: base64 of zlib of a pickled text.

    Args:
        text: What the row holds.
        most_bytes: Size that the unpacked pickle may have.

    Raises:
        ProblemError: If it is packed in another way, is too large, or the pickle is of anything
            but one text. Such a pickle is refused before any of it is executed.
    """
    try:
        packed = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj()
        raw = inflater.decompress(packed, most_bytes)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise ProblemError(f"the tests are not base64 of zlib: {error}") from error
    if not inflater.eof:
        reason = (
            f"unpack to more than {most_bytes} bytes" if len(raw) == most_bytes else "are cut off"
        )
        raise ProblemError(f"the packed tests {reason}")
    try:
        for opcode, _, _ in pickletools.genops(raw):
            if opcode.name not in _TEXT_OPCODES:
                raise ProblemError(
                    f"the pickle holds more than one text (instruction {opcode.name}): refused"
                )
        value = _TextUnpickler(io.BytesIO(raw)).load()
    except ProblemError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ProblemError(f"the packed tests are not a pickle: {error}") from error
    if not isinstance(value, str):
        raise ProblemError(f"the pickle must hold a text, got {type(value).__name__}")
    return value


class _TextUnpickler(pickle.Unpickler):
    """Builds texts and nothing that has a name."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise ProblemError(f"the pickle names {module_name}.{global_name}: refused")

    def persistent_load(self, pid: Any, /) -> NoReturn:
        raise ProblemError(f"the pickle refers to outside data ({pid!r:.40}): refused")


LIVECODEBENCH = Source(
    name="livecodebench",
    expected="LiveCodeBench rows: JSON lines with 'question_content', 'public_test_cases' and "
    "'private_test_cases'",
    splits=("test", *_RELEASES),
    parse=_parse,
    packages=("numpy",),
    id_fields=_ID,
    day=_day,
    files=tuple(
        RemoteFile(
            f"livecodebench/test{number if number > 1 else ''}.jsonl",
            f"{_HUB}/test{number if number > 1 else ''}.jsonl",
            ("test", *_RELEASES[number - 1 :]),
        )
        for number in range(1, 7)
    ),
)
