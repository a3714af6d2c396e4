"""Nemotron-RL-coding-competitive_coding (NVIDIA, 2025): rows of NeMo Gym.

The files are ``opencodereasoning_filtered_25k_train.jsonl`` (``train``) and ``validation.jsonl``
(``validation``). A row has ``responses_create_params.input``, a list of messages of which the last
one of the user is the task, and ``verifier_metadata.unit_tests``, ``{"inputs": [...], "outputs":
[...], "fn_name": ...}``; and perhaps ``hash_id``, ``dataset`` and ``source``. There are no
reference solutions, and the task is the prompt as it is. Answers are compared as LiveCodeBench
does, whose judge NeMo Gym runs.

**The validation split is LiveCodeBench** (July 2024 to February 2025), several times each: repeated
problems are skipped. Leave LiveCodeBench's problems out of what you train on with
``ProblemSet.without``.

*What confirmed the keys*: NeMo Gym's ``code_gen`` and ``comp_coding`` and their scripts, and public
code that converts the rows. No real row was read here.
"""

from __future__ import annotations

from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.messages import last_task
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["NEMOTRON"]

_HUB = "https://huggingface.co/datasets/nvidia/Nemotron-RL-coding-competitive_coding/resolve/main"
_ID = ("hash_id",)
_FILES = {
    "train": "opencodereasoning_filtered_25k_train.jsonl",
    "validation": "validation.jsonl",
}
_TASK, _JUDGED = "responses_create_params", "verifier_metadata"


def _parse(row: Row) -> Problem:
    verifier = _object(row, _JUDGED)
    judged = read_cases(
        verifier.get("unit_tests"), prelude=LIVECODEBENCH_PRELUDE, what="'unit_tests'"
    )
    verified = Row(row.index, verifier)
    return Problem(
        id=row.identifier(*_ID) or verified.identifier("problem_id") or _made_id(row, verifier),
        description=last_task(_object(row, _TASK).get("input"), what=f"'input' of {_TASK!r}"),
        canonical_solution="",
        tests=judged.tests,
        entry_point=judged.entry_point,
        difficulty=verified.difficulty("difficulty"),
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={**row.rest(_TASK, _JUDGED), "split": row.split},
    )


def _made_id(row: Row, verifier: dict[str, Any]) -> str:
    values = {**row.values, "unit_tests": verifier.get("unit_tests")}
    return Row(row.index, values).content_id(_TASK, "unit_tests")


def _object(row: Row, name: str) -> dict[str, Any]:
    value = row.first(name)
    if not isinstance(value, dict):
        raise ProblemError(f"needs an object in {name!r}; the row has {sorted(row.values)}")
    return value


NEMOTRON = Source(
    name="nemotron",
    expected="rows of NeMo Gym: 'responses_create_params' with 'input', and 'verifier_metadata' "
    "with 'unit_tests'",
    splits=tuple(_FILES),
    parse=_parse,
    packages=("numpy",),
    id_fields=_ID,
    files=tuple(
        RemoteFile(f"nemotron/{name}", f"{_HUB}/{name}", (split,)) for split, name in _FILES.items()
    ),
)
