"""SYNTHETIC-1 and SYNTHETIC-2 (Prime Intellect, 2025), and open-r1's copies of their code problems.

``data=`` names a file of the data set, or a folder of them. A row has ``prompt`` or
``problem_statement`` (which says the task without instructions about the form of the answer, and is
preferred), ``verification_info`` and perhaps ``gold_standard_solution`` (with a code fence or
without one), ``problem_id``, ``source`` and ``metadata``. ``verification_info`` is an object, JSON
text or Python's ``repr`` of one, with ``language`` and ``test_cases``: a list of ``{"type",
"input", "output", "fn_name"}``, or an object with ``inputs``, ``outputs`` and perhaps ``fn_name``,
or JSON text of either. An input that is text where a function is called is JSON of the list of all
arguments. Rows for other languages than Python, and those that are not about programs, are skipped.

The data sets have one split; ours are by the SHA-256 of the task: about half ``train``, a quarter
each ``validation`` and ``test``.

*What confirmed the keys*: code of Marin and of SkyRL's users that reads
``open-r1/verifiable-coding-problems-python``, and code that cleans ``SYNTHETIC-2-RL``. No real row
was read here.
"""

from __future__ import annotations

from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.reading.python_code import without_fence
from codegym.problems.source import Row, Source, hash_split

__all__ = ["SYNTHETIC"]

_TASK = ("problem_statement", "prompt")
_ID = ("problem_id",)
_TESTS = "verification_info"
_SOLUTION = "gold_standard_solution"


def _parse(row: Row) -> Problem:
    solution = without_fence(row.optional_text(_SOLUTION))
    judged = read_cases(
        row.first(_TESTS),
        solution=solution,
        prelude=LIVECODEBENCH_PRELUDE,
        texts="list",
        what=f"{_TESTS!r}",
    )
    return Problem(
        id=row.identifier(*_ID) or row.content_id(*_TASK, _TESTS),
        description=row.text(*_TASK),
        canonical_solution=solution,
        tests=judged.tests,
        entry_point=judged.entry_point,
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata=row.rest(*_TASK, *_ID, _TESTS, _SOLUTION),
    )


def _row_splits(row: Row) -> tuple[str, ...]:
    return (hash_split(row.optional_text(*_TASK)),)


SYNTHETIC = Source(
    name="synthetic",
    expected="SYNTHETIC-1 or SYNTHETIC-2 rows: 'prompt' or 'problem_statement', and "
    "'verification_info' with 'test_cases'",
    splits=("train", "validation", "test"),
    parse=_parse,
    packages=("numpy",),
    id_fields=_ID,
    row_splits=_row_splits,
)
