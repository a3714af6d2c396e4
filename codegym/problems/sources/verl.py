"""Rows for the trainer verl, of any data set of programs that was brought into its format.

``data=`` names a file that verl trains on, or a folder of them; the beginning of a file's name is
its split, as in ``train.parquet``. A row has ``prompt``, a list of messages of which the last one
of the user is the task, ``reward_model`` with ``ground_truth``, and perhaps ``data_source``,
``ability`` and ``extra_info``. The ``ground_truth`` is what verl's ``prime_code`` takes: JSON text
of ``{"inputs": [...], "outputs": [...], "fn_name": ...}``, or a list of ``{"input", "output",
...}``; or, for its ``sandbox_fusion``, of ``{"assert_case": [...], "fn_name": ...}``. The reward
function in :mod:`codegym.integrations.verl` reads it in the same way. Rows of another ability than
``"code"`` are skipped.

There are no reference solutions, and the task is the prompt as it is, instructions about the form
of the answer included. What is printed is compared as by APPS' judge, from which verl's comes: it
drops blank lines, and takes floats that are near. Before a program LiveCodeBench's imports are run,
as there.

*What confirmed the keys*: verl's ``examples/data_preprocess`` and
``utils/reward_score/prime_code``, and code of Marin that reads Eurus-2. No real row was read here.
"""

from __future__ import annotations

from codegym.problems.reading.verl_rows import VERL_PACKAGES, parse_verl
from codegym.problems.source import Source

__all__ = ["VERL"]

VERL = Source(
    name="verl",
    expected="rows in verl's format: 'prompt' and 'reward_model' with 'ground_truth'",
    splits=("train", "validation", "test"),
    parse=parse_verl,
    packages=VERL_PACKAGES,
    id_fields=(),
)
