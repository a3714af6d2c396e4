"""Runs of training that are compared: fine-tuned once, measured on test problems, side by side."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from agents import sft
from agents.environments import TaskSettings, make_grader, make_tokenizer
from agents.evaluate import Evaluation, greedy_and_sampled
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import ProblemSet

__all__ = ["arms_named", "fine_tuned", "kept_before", "measured", "require_same", "side_by_side"]


def arms_named(
    named: Iterable[str], arms: Iterable[str], groups: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """The arms of a comparison that a command line names.

    Args:
        named: Arms, or groups of them.
        arms: All that there are.
        groups: Names of groups, and their arms.

    Returns:
        Those named, in the order of `arms`.

    Raises:
        UnknownNameError: If there is no such arm or group.
    """
    every = tuple(arms)
    chosen: set[str] = set()
    for name in named:
        if name not in groups and name not in every:
            raise UnknownNameError("arm", name, (*groups, *every))
        chosen.update(groups.get(name, (name,)))
    return tuple(arm for arm in every if arm in chosen)


def fine_tuned(settings: sft.Args) -> Path:
    """Makes a fine-tuned policy in `settings.out` unless one is there; returns that folder."""
    if not (settings.out / "policy.json").is_file():
        with RunLogger(settings.out, quiet=True) as logger:
            sft.run(settings, logger)
    return settings.out


def measured(
    policy: CausalLMPolicy | Path,
    settings: TaskSettings,
    test: ProblemSet,
    *,
    seed: int,
    samples: int = 1,
) -> dict[str, Evaluation]:
    """What a policy passes from the empty prefix.

    Args:
        policy: The policy, or its folder.
        settings: Say what the environment is.
        test: Problems that it was not trained on.
        seed: Decides the samples.
        samples: Sampled programs a problem.

    Returns:
        `"greedy"`, and `"sampled"` at temperature 1.
    """
    torch.set_num_threads(1)
    if isinstance(policy, Path):
        policy = CausalLMPolicy.from_pretrained(policy).eval()
    tokenizer = make_tokenizer(settings.tokenizer)
    with make_grader(settings) as grader:
        return greedy_and_sampled(
            policy, settings, test, grader=grader, tokenizer=tokenizer, samples=samples, seed=seed
        )


def side_by_side(parallel: int, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """The results of functions that are called in processes of their own, as they come.

    Args:
        parallel: Processes at a time.
        jobs: Function and arguments.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(parallel, mp_context=context) as pool:
        futures = [pool.submit(function, *arguments) for function, *arguments in jobs]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()


def kept_before(args: Any, decisive: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an earlier call of a benchmark kept.

    Args:
        args: Its command line, with ``out`` and ``runs``.
        decisive: Settings that must be the same.

    Returns:
        The command line as JSON has it, without paths, and the results in ``out``; empty if there
        are none.

    Raises:
        ConfigurationError: If they were made with other settings.
    """
    named = {**dataclasses.asdict(args), "runs": "FOLDER", "out": "FOLDER"}
    now: dict[str, Any] = json.loads(json.dumps(named, default=str))
    path = args.out.with_suffix(".json")
    if not path.is_file():
        return now, {}
    data: dict[str, Any] = json.loads(path.read_text())
    require_same(path, data["arguments"], now, decisive)
    return now, data


def require_same(
    path: Path, then: Mapping[str, Any], now: Mapping[str, Any], decisive: Sequence[str]
) -> None:
    """Refuses to put rows beside others that were made with other settings.

    Args:
        path: Where those are.
        then: Their settings.
        now: The settings of the new ones.
        decisive: The names that must agree.

    Raises:
        ConfigurationError: If one does not.
    """
    changed = [name for name in decisive if then.get(name) != now[name]]
    if changed:
        raise ConfigurationError(
            f"{path} is of runs with other settings: {', '.join(changed)} differ. Name other "
            "folders with runs= and out=, or move the old ones away."
        )
