"""Does Stable-Baselines3 learn on a codegym environment? MaskablePPO and PPO, new problems, seeds.

python -m benchmarks.stable_baselines
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from agents import sb3_ppo
from benchmarks import page
from benchmarks.intervals import mean_and_half, shown
from benchmarks.runs import side_by_side

_AGENTS = {"MaskablePPO": True, "PPO": False}
_COLOURS = {"MaskablePPO": "#0072B2", "PPO": "#E69F00"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Stable-Baselines3 on arithmetic that a prompt asks for."""

    seeds: tuple[int, ...] = (11, 12, 13, 14, 15)
    """each with its own split of the problems"""
    steps: int = 100_000
    """environment steps of a run"""
    points: int = 5
    """evaluations on the way"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    out: Path = page.RESULTS / "stable_baselines"
    """path of the results without suffix: .json, .md and .png are written"""


def run(agent: str, seed: int, args: Args) -> dict[str, Any]:
    """One agent: a row of the results."""
    settings = _settings(args, agent, seed)
    _, points = sb3_ppo.train(settings, note=lambda _: None)
    return {"agent": agent, "seed": seed, "points": [point._asdict() for point in points]}


def _settings(args: Args, agent: str, seed: int) -> sb3_ppo.Args:
    return sb3_ppo.Args(masked=_AGENTS[agent], steps=args.steps, points=args.points, seed=seed)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    rows = results["rows"]
    asked = (
        "Does Stable-Baselines3, which knows nothing of language models, learn something through "
        "plain `gymnasium.make`?"
    )
    yield from page.head("Stable-Baselines3", asked, results)
    yield from page.set_up(_set_up(results["arguments"], results["task"]))
    yield from ("## Solved", "", "New problems that are solved, in %.", "")
    yield from ("![curve of each agent](stable_baselines.png)", "")
    steps = [point["steps"] for point in rows[0]["points"]]
    yield from page.table(
        (
            *("agent", "seeds", *(f"{count:,} steps" for count in steps)),
            *("gain, least seed", "at the end, each seed"),
        ),
        (
            [
                *(agent, len(mine), *_means(mine), f"{min(map(_gain, mine)):+.0f}"),
                ", ".join(f"{100 * row['points'][-1]['solved']:.0f}" for row in mine),
            ]
            for agent in _AGENTS
            if (mine := [row for row in rows if row["agent"] == agent])
        ),
    )


def _set_up(args: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, str]:
    return {
        "problems": f"programs of {task['lines']} steps of arithmetic, as the prompt says: "
        f"{task['train']} for training, and {task['new']} new ones, other combinations of steps",
        "agents": "see and write the words of the training programs; MaskablePPO only those that "
        "they have at that place",
        "training": "episodes begin before any line of the solution; the reward is "
        f"`{task['reward']}`",
        "budget": f"{args['steps']:,} environment steps a run, rounded up to whole rollouts",
        "measured": "new problems that are solved from the empty prefix with the likeliest words",
        "seeds": f"{', '.join(map(str, args['seeds']))}, each with its own split of the problems; "
        "settings were chosen on others",
        "intervals": "95 %, Student's t over seeds",
    }


def _means(rows: list[dict[str, Any]]) -> Iterator[str]:
    for each in zip(*(row["points"] for row in rows), strict=True):
        yield shown([100 * point["solved"] for point in each])


def _gain(row: Mapping[str, Any]) -> float:
    points = row["points"]
    return 100 * float(points[-1]["solved"] - points[0]["solved"])


def draw(results: Mapping[str, Any]) -> Figure:
    """Solved new problems over steps: each seed, and the mean with its interval."""
    figure, axis = plt.subplots(figsize=(6.5, 4))
    for agent in _AGENTS:
        mine = [row["points"] for row in results["rows"] if row["agent"] == agent]
        if not mine:
            continue
        columns = list(zip(*mine, strict=True))
        steps = [column[0]["steps"] / 1e3 for column in columns]
        found = [mean_and_half([100 * point["solved"] for point in column]) for column in columns]
        means = np.array([mean for mean, _ in found])
        halves = np.nan_to_num([half for _, half in found])
        for points in mine:
            rates = [100 * point["solved"] for point in points]
            axis.plot(steps, rates, "--", color=_COLOURS[agent], lw=0.8)
        axis.plot(steps, means, "o-", color=_COLOURS[agent], label=agent)
        low, high = np.clip([means - halves, means + halves], 0, 100)
        axis.fill_between(steps, low, high, color=_COLOURS[agent], alpha=0.15, lw=0)
    axis.set(xlabel="thousand environment steps", ylabel="new problems solved, %", ylim=(0, 100))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, title="mean, 95 % interval; dashed: each seed")
    figure.tight_layout()
    return figure


def main(args: Args) -> None:
    """Runs all and reports."""
    results = page.environment("stable_baselines", "stable_baselines3", "sb3_contrib", "torch")
    task = _settings(args, "PPO", args.seeds[0])
    train, new = sb3_ppo.arithmetic(task.lines, task.seed, task.train_share)
    results["arguments"] = json.loads(json.dumps(dataclasses.asdict(args), default=str))
    results["task"] = {"lines": task.lines, "reward": task.reward}
    results["task"] |= {"train": len(train), "new": len(new)}
    jobs = [(run, agent, seed, args) for seed in args.seeds for agent in _AGENTS]
    rows = []
    for row in side_by_side(args.parallel, jobs):
        print(json.dumps(row), flush=True)
        rows.append(row)
    rows.sort(key=lambda row: (list(_AGENTS).index(row["agent"]), row["seed"]))
    page.write(args.out, results | {"rows": rows}, lines, draw)


if __name__ == "__main__":
    main(tyro.cli(Args))
