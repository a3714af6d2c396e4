"""Eurus-2-RL-Data, its code part (PRIME, 2025): rows in the format of the trainer verl.

The files are ``train.parquet`` and ``validation.parquet``, the official splits. They hold problems
of mathematics as well, which are skipped and counted. How a row is read is said in
:mod:`codegym.problems.sources.verl`: the task is the last message of ``prompt``, the tests are JSON
text in ``reward_model.ground_truth``.

*What confirmed the keys*: verl's ``prime_code``, and code of Marin that reads ``train.parquet``. No
real row was read here.
"""

from __future__ import annotations

from codegym.problems.reading.verl_rows import VERL_PACKAGES, parse_verl
from codegym.problems.source import RemoteFile, Source

__all__ = ["EURUS2"]

_HUB = "https://huggingface.co/datasets/PRIME-RL/Eurus-2-RL-Data/resolve/main"

EURUS2 = Source(
    name="eurus2",
    expected="Eurus-2-RL-Data rows: 'prompt', 'ability' and 'reward_model' with 'ground_truth'",
    splits=("train", "validation"),
    parse=parse_verl,
    packages=VERL_PACKAGES,
    id_fields=(),
    files=tuple(
        RemoteFile(f"eurus2/{split}.parquet", f"{_HUB}/{split}.parquet", (split,))
        for split in ("train", "validation")
    ),
)
