"""Where the curriculum stands: how many problems are at which stage."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gymnasium.vector import VectorEnv

from agents.environments import task_of
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks, StartStates

__all__ = ["stage_histogram", "stage_metrics"]


def stage_histogram(
    start_states: StartStates, envs: VectorEnv[Any, Any, Any], problems: ProblemSet
) -> dict[int, int]:
    """Number of problems at each stage; 0 is the empty prefix.

    Args:
        start_states: The shared distribution.
        envs: A vector env of codegym.
        problems: Those that are drawn from.

    Returns:
        Stage -> problems, by stage. Empty if the distribution has no stages that move.

    Raises:
        ConfigurationError: If `envs` is not a vector env of codegym.
    """
    if not isinstance(start_states, CurriculumOfSubtasks):
        return {}
    task = task_of(envs)
    references = [task.reference(problem) for problem in problems]
    counts = Counter(start_states.stage(reference) for reference in references)
    return dict(sorted(counts.items()))


def stage_metrics(
    start_states: StartStates, envs: VectorEnv[Any, Any, Any], problems: ProblemSet
) -> dict[str, float]:
    """The histogram as scalars for a log.

    Args:
        start_states: The shared distribution.
        envs: A vector env of codegym.
        problems: Those that are drawn from.

    Returns:
        ``curriculum/mean_stage`` and ``curriculum/share_stage_<n>``; empty without stages.
    """
    counts = stage_histogram(start_states, envs, problems)
    total = sum(counts.values())
    if not total:
        return {}
    metrics = {f"curriculum/share_stage_{stage}": n / total for stage, n in counts.items()}
    mean = sum(stage * n for stage, n in counts.items()) / total
    return {**metrics, "curriculum/mean_stage": mean}
