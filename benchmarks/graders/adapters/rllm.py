"""rLLM: `RewardCodeFn` on problems in LiveCodeBench's format."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.adapters.lcb_format import as_rows
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    # Programs are run after `import pandas`, which takes long at the first time.
    importlib.import_module("pandas")
    pretend(
        "rllm.tools",
        "rllm.tools.code_tools",
        "rllm.tools.code_tools.code_tool",
        "rllm.tools.code_tools.together_tool",
    )
    sys.path.insert(0, str(sources))
    grader = importlib.import_module("rllm.rewards.code_reward")

    question = {"data_source": "livecodebench", "ground_truth": as_rows(task)}
    answer = grader.RewardCodeFn(grader.RewardConfig())(question, task.fenced)
    return Verdict(bool(answer.is_correct), f"reward {answer.reward}")


ADAPTER = Adapter(
    "rllm",
    "https://github.com/rllm-org/rllm",
    "rllm.rewards.code_reward.RewardCodeFn",
    ("lines", "calls"),
    _grade,
    no_arguments=False,
)
