"""Rows for the trainer verl, of any data set of programs that was brought into its format.

``data=`` names a file that verl trains on, or a folder of them; the beginning of a file's name is
its split, as in ``train.parquet``. A row has ``prompt``, a list of messages of which the last one
of the user is the task, ``reward_model`` with ``ground_truth``, and perhaps ``data_source``,
``ability`` and ``extra_info``. The ``ground_truth`` is what verl's ``prime_code`` takes: JSON text
of ``{"inputs": [...], "outputs": [...], "fn_name": ...}``, or a list of ``{"input", "output",
...}``. Rows of another ability than ``"code"`` are skipped.

There are no reference solutions, and the task is the prompt as it is, instructions about the form
of the answer included. What is printed is compared as LiveCodeBench does, from whose judge verl's
comes.

*What confirmed the keys*: verl's ``examples/data_preprocess`` and
``utils/reward_score/prime_code``, and code of Marin that reads Eurus-2. No real row was read here.
"""

from __future__ import annotations

from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.messages import last_task
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import Row, Source

__all__ = ["VERL", "parse_verl"]


def parse_verl(row: Row) -> Problem:
    """The problem of a row in verl's format.

    Raises:
        ProblemError: If it holds none.
    """
    ability = row.first("ability")
    if ability not in (None, "code"):
        raise ProblemError(f"it is no problem of programming: 'ability' is {ability!r:.40}")
    extra = row.first("extra_info")
    extra = extra if isinstance(extra, dict) else {}
    truth = _ground_truth(row)
    starter = extra.get("starter_code")
    starter = starter if isinstance(starter, str) else ""
    judged = read_cases(
        truth, starter=starter, prelude=LIVECODEBENCH_PRELUDE, what="'ground_truth'"
    )
    return Problem(
        id=row.content_id("prompt", "reward_model"),
        description=last_task(row.first("prompt"), what="'prompt'"),
        canonical_solution="",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        difficulty=Row(row.index, extra).difficulty("difficulty"),
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={**row.rest("prompt", "reward_model"), "split": row.split},
    )


def _ground_truth(row: Row) -> Any:
    model = row.first("reward_model")
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        raise ProblemError("needs 'reward_model' with 'ground_truth'")
    return model["ground_truth"]


VERL = Source(
    name="verl",
    expected="rows in verl's format: 'prompt' and 'reward_model' with 'ground_truth'",
    splits=("train", "validation", "test"),
    parse=parse_verl,
    packages=("numpy",),
    id_fields=(),
)
