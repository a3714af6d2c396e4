"""The charts of a run: which scalars belong together, and what they should look like."""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from codegym.commands.viewing.rollout import Chart, Rollout, Series

__all__ = ["charts_of_rollouts", "charts_of_scalars"]

Scalars = Sequence[Mapping[str, float]]

_WINDOW = 5
_LEVELS = ("introductory", "interview", "competition", "mean")
_VERDICTS = (
    "accepted",
    "wrong_answer",
    "runtime_error",
    "time_limit",
    "memory_limit",
    "output_limit",
    "compile_error",
    "judge_error",
)
_ITERATION = "iteration"
_SMOOTH = f"mean of the last {_WINDOW} iterations"


def charts_of_scalars(scalars: Scalars, before: Scalars = ()) -> list[Chart]:
    """The charts that the scalars of a run are enough for.

    Args:
        scalars: Of the reinforcement learning, a dict a step.
        before: Of what came before it, the supervised fine-tuning.
    """
    found = [*_success(scalars), *_curriculum(scalars), *_learning(scalars), *_imitation(before)]
    return [chart for chart in found if chart.series]


def _success(scalars: Scalars) -> Iterable[Chart]:
    for mode, how in (("greedy", "the likeliest program"), ("sampled", "one program drawn")):
        yield Chart(
            title=f"pass@1 {mode}, by difficulty",
            expected=f"Held-out problems that {how} solves, from the empty prefix: should rise, "
            "then stay. A fall while the rollouts below go on rising means that the policy learns "
            "what the training tests let pass.",
            x=_ITERATION,
            y="solved problems, %",
            series=_lines(scalars, {f"{mode}/{level}": level for level in _LEVELS}, 100, window=1),
            low=0,
            high=100,
        )
    yield Chart(
        title="rollouts that solve their problem",
        expected="In training, where the curriculum gives a part of the solution: need not rise, "
        "because start states become harder as the policy becomes better. From the empty prefix "
        "it should rise.",
        x=_ITERATION,
        y=f"solved, %, {_SMOOTH}",
        series=_lines(
            scalars,
            {
                "rollout/solved": "from all start states",
                "rollout/solved_from_empty": "from the empty prefix",
            },
            100,
        ),
        low=0,
        high=100,
    )
    verdicts = {f"verdict/{name}": name for name in _VERDICTS}
    yield Chart(
        title="verdicts of the rollouts",
        expected="Accepted programs should grow, at the cost of compile errors first and of wrong "
        "answers last. Time limits that grow mean loops that never end.",
        x=_ITERATION,
        y=f"rollouts, %, {_SMOOTH}",
        series=_shares(scalars, verdicts),
        stacked=True,
        low=0,
        high=100,
    )


def _curriculum(scalars: Scalars) -> Iterable[Chart]:
    stages = sorted(
        {
            int(found[1])
            for row in scalars
            for name in row
            if (found := re.fullmatch(r"curriculum/share_stage_(\d+)", name))
        }
    )
    names = {f"curriculum/share_stage_{k}": f"stage {k}" for k in stages}
    yield Chart(
        title="problems by stage of the curriculum",
        expected="Stage 0 begins at the empty prefix, a higher one with more of the solution. "
        "Stage 0 should take over; a high stage that stays is made of problems that are too hard.",
        x=_ITERATION,
        y="problems, %",
        series=_shares(scalars, names, window=1),
        stacked=True,
        low=0,
        high=100,
    )


def _learning(scalars: Scalars) -> Iterable[Chart]:
    yield Chart(
        title="KL divergence",
        expected="To the reference it should rise slowly and level off below about 1; a jump is a "
        "run that runs away. That of one update should stay below target_kl (0.05).",
        x=_ITERATION,
        y=f"KL, nats per token, {_SMOOTH}",
        series=_lines(
            scalars,
            {
                "kl/reference_k1": "to the reference, k1",
                "kl/reference_k3": "to the reference, k3",
                "kl/update_k3": "of one update, k3",
            },
        ),
        low=0,
    )
    yield Chart(
        title="explained variance of the critic",
        expected="0 is a critic that knows nothing but the mean, 1 one that foretells every "
        "return. It should rise from 0 within some ten iterations; below 0 for long, the critic "
        "does harm.",
        x=_ITERATION,
        y=f"explained variance, a share of 1, {_SMOOTH}",
        series=_lines(scalars, {"value/explained_variance": "explained variance"}),
        low=0,
        high=1,
    )
    yield Chart(
        title="entropy of the policy",
        expected="Should fall slowly. Close to 0 early on, the policy writes the same program "
        "again and again, and there is nothing left to learn from.",
        x=_ITERATION,
        y=f"entropy, nats per token, {_SMOOTH}",
        series=_lines(scalars, {"policy/entropy_estimate": "entropy"}),
        low=0,
    )
    yield Chart(
        title="tokens that count",
        expected="Executed tokens are those that fine-grained optimization learns from: should be "
        "near 100 % once programs compile. Clipped ones should stay below some 20 %.",
        x=_ITERATION,
        y=f"generated tokens, %, {_SMOOTH}",
        series=_lines(
            scalars,
            {"policy/executed_share": "executed", "policy/clip_fraction": "ratio was clipped"},
            100,
        ),
        low=0,
        high=100,
    )
    yield Chart(
        title="where the time goes",
        expected="Should be flat. Waiting for grades that grows means programs that run long.",
        x=_ITERATION,
        y=f"seconds an iteration, {_SMOOTH}",
        series=_lines(
            scalars,
            {
                "time/generate": "writing programs",
                "time/environment": "environment",
                "time/waiting": "waiting for grades",
                "time/logprobs": "log-probabilities",
                "time/update": "update",
            },
        ),
        low=0,
    )


def _imitation(before: Scalars) -> Iterable[Chart]:
    yield Chart(
        title="supervised fine-tuning, before",
        expected="Should fall fast, then slowly, and flatten.",
        x="optimiser step",
        y="loss, nats per token",
        series=_lines(before, {"sft/loss": "loss"}, window=1),
        low=0,
    )


def charts_of_rollouts(rollouts: Sequence[Rollout], reward: str) -> list[Chart]:
    """The curves of a run that has no scalars: means of its rollouts at each step.

    Args:
        rollouts: Those that are shown.
        reward: What the source calls their reward.
    """
    by_step: dict[int, list[Rollout]] = collections.defaultdict(list)
    for rollout in rollouts:
        if rollout.step is not None:
            by_step[rollout.step].append(rollout)
    if len(by_step) < 2:
        return []
    rewards, shares = [], []
    for step, these in sorted(by_step.items()):
        paid = [one.reward for one in these if one.reward is not None and math.isfinite(one.reward)]
        if paid:
            rewards.append((float(step), sum(paid) / len(paid)))
        judged = [one.verdict for one in these if one.verdict is not None]
        if judged:
            counts = collections.Counter(judged)
            shares.append({"step": step, **{name: n / len(judged) for name, n in counts.items()}})
    names = dict.fromkeys((*_VERDICTS, *sorted({key for row in shares for key in row} - {"step"})))
    charts = [
        Chart(
            title=f"{reward} of the rollouts",
            expected="Should rise; its size depends on the reward function of the trainer.",
            x="step of the training",
            y=f"mean {reward} of a rollout, no unit",
            series=[Series(reward, rewards)] if rewards else [],
        ),
        Chart(
            title="verdicts of the rollouts",
            expected="Accepted programs should grow.",
            x="step of the training",
            y="rollouts, %",
            series=_shares(shares, {name: name for name in names}, window=1),
            stacked=True,
            low=0,
            high=100,
        ),
    ]
    return [chart for chart in charts if chart.series]


def _lines(
    scalars: Scalars, names: Mapping[str, str], factor: float = 1, *, window: int = _WINDOW
) -> list[Series]:
    found = []
    for name, label in names.items():
        points = [(float(row["step"]), factor * row[name]) for row in scalars if name in row]
        if points:
            found.append(Series(label, _smoothed(points, window)))
    return found


def _shares(scalars: Scalars, names: Mapping[str, str], *, window: int = _WINDOW) -> list[Series]:
    """Shares in %; one that a step does not name is 0 there, as the others make up the whole."""
    rows = [row for row in scalars if any(name in row for name in names)]
    kept = [name for name in names if any(name in row for row in rows)]
    return [
        Series(
            names[name],
            _smoothed([(float(row["step"]), 100 * row.get(name, 0.0)) for row in rows], window),
        )
        for name in kept
    ]


def _smoothed(points: list[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    smooth = []
    for i, (x, _) in enumerate(points):
        last = [y for _, y in points[max(0, i - window + 1) : i + 1]]
        smooth.append((x, sum(last) / len(last)))
    return smooth
