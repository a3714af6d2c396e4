"""GEM: a step of `CodeEnv`, without its optional bubblewrap sandbox, as by default.

A list stands in for the data set that it draws problems from.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


class _Dataset(list[dict[str, str]]):
    def shuffle(self, seed: int) -> _Dataset:
        return self


def _grade(task: Task, sources: Path) -> Verdict:
    pretend("datasets", "reasoning_gym")
    sys.modules["datasets"].Dataset = _Dataset  # type: ignore[attr-defined]
    sys.modules["datasets"].DatasetDict = dict  # type: ignore[attr-defined]
    sys.path.insert(0, str(sources))
    grader = importlib.import_module("gem.envs.code_env")

    tests = {"inputs": [i for i, _ in task.tests], "outputs": [o for _, o in task.tests]}
    rows = _Dataset([{"problem": "case", "tests": json.dumps(tests)}])
    env = grader.CodeEnv(dataset_name="apps", dataset=rows)
    env.reset()
    _, reward, *_ = env.step(task.fenced)
    return Verdict(reward == 1.0, f"reward {reward}")


ADAPTER = Adapter(
    "gem",
    "https://github.com/axon-rl/gem",
    "gem.envs.code_env.CodeEnv.step",
    ("lines",),
    _grade,
    remark='with `sandbox_type="none"`, its default',
)
