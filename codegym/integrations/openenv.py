"""A server of OpenEnv: one episode is one problem and one answer.

Written against OpenEnv 0.10::

    python -m codegym.integrations.openenv --source humaneval --split test

An action is a whole answer of a chat model, as text; the program in it is found by the rules of
:mod:`codegym.programs.answer` and graded on this server. The tests never leave it. The splits are
discovered through OpenEnv's task interface, and ``reset(split=, index=)`` chooses a problem.

A failure of codegym's own is an error of the call (``EXECUTION_ERROR``, or status 500), and no
reward: the episode stays open, and the step can be repeated.

OpenEnv is imported when an application is made, not before.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from codegym.errors import (
    ConfigurationError,
    JudgeError,
    ProblemError,
    ResetNeededError,
    UnknownNameError,
)
from codegym.grading.grader import Grader
from codegym.grading.verdict import Verdict
from codegym.integrations.completions import grade_completion
from codegym.integrations.questions import ask
from codegym.integrations.scores import RewardSpec
from codegym.problems.load import load_problems
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet
from codegym.problems.reading.json_values import unique_keys
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import checked_terms

__all__ = ["ProgramEnvironment", "app_from_environment", "app_of_source", "main", "make_app"]

SETTINGS = "CODEGYM_OPENENV"
"""The environment variable that :func:`app_from_environment` reads."""

_SESSIONS = 64


class ProgramEnvironment:
    """One session of the server, without what it inherits of OpenEnv's ``Environment``.

    Args:
        splits: The problems, by the name of their split.
        observe: Makes an observation of its fields.
        describe: Makes a state of its fields.
        reward: How a grade becomes a reward.
        grader: Runs and judges the programs of all sessions; stays its owner's.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self,
        splits: Mapping[str, ProblemSet],
        observe: Callable[..., Any],
        describe: Callable[..., Any],
        *,
        reward: RewardSpec,
        grader: Grader,
    ) -> None:
        self._splits, self._observe, self._describe = splits, observe, describe
        self._reward, self._grader = make_reward(reward), grader
        self._shown: dict[str, Any] = {}
        self._problem: Problem | None = None
        self._episode: str | None = None
        self._steps = 0

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
        **unknown: object,
    ) -> Any:
        """Begins an episode.

        Args:
            seed: Draws a problem where no index is given.
            episode_id: The name of the episode; None: a new one.
            split: A split; None: the first.
            index: The problem's place in the split, from 0.
            unknown: Nothing else is known.

        Returns:
            An observation with the question in ``prompt``.

        Raises:
            UnknownNameError: If there is no such split or argument.
            IndexError: If the split has no such place.
        """
        for name in unknown:
            known = ("seed", "episode_id", "split", "index")
            raise UnknownNameError("argument of reset()", name, known)
        split = next(iter(self._splits)) if split is None else split
        problems = self._problems(split)
        if index is None:
            index = int(np.random.default_rng(seed).integers(len(problems)))
        problem = _at(problems, index)
        self._shown = {**_task(problem, split, index), "done": False, "reward": None}
        self._problem, self._steps = problem, 0
        self._episode = str(uuid.uuid4()) if episode_id is None else episode_id
        return self._observe(**self._shown)

    def step(self, action: Any, timeout_s: float | None = None, **_: object) -> Any:
        """Grades an answer and ends the episode.

        Args:
            action: Its ``answer`` is the text of a chat model.
            timeout_s: OpenEnv's; programs have limits of their own.

        Returns:
            An observation with ``done``, ``reward``, and what the grader said; no reward where the
            problem's checker failed on the answer.

        Raises:
            ResetNeededError: If no episode was begun, or it has ended.
            RewardError: If the reward is no finite number.
            ExecutionError: If codegym could not run the program; the step can be repeated.
        """
        if self._problem is None:
            raise ResetNeededError(
                "step() needs an episode that reset() began and that has not ended. Over HTTP each "
                "call is a session of its own: use the client, which keeps one open, or /ws."
            )
        try:
            grade = grade_completion(action.answer, self._problem, grader=self._grader)
        except JudgeError as error:  # the same answer would bring it about again
            self._problem, self._steps = None, 1
            told = {"verdict": Verdict.JUDGE_ERROR.value, "error_type": type(error).__name__}
            return self._observe(**self._shown | told | {"done": True, "reward": None})
        terms = checked_terms(self._reward, grade)
        self._problem, self._steps = None, 1
        return self._observe(
            **self._shown
            | {
                "done": True,
                "reward": sum(terms.values()),
                "reward_terms": terms,
                "verdict": grade.verdict.value,
                "tests_passed": grade.tests_passed,
                "tests_total": grade.tests_total,
                "error_type": grade.error_type,
                "error_line": grade.error_line,
            }
        )

    @property
    def state(self) -> Any:
        """The episode's name, the number of steps in it, and its problem."""
        names = ("problem_id", "split", "index")
        shown = {name: self._shown[name] for name in names if self._shown}
        return self._describe(episode_id=self._episode, step_count=self._steps, **shown)

    def close(self) -> None:
        """Ends the session. What it shares with others stays open."""

    def list_splits(self) -> list[dict[str, str]]:
        """The splits, as OpenEnv describes them."""
        kinds = {"train": "train", "test": "test"}
        return [{"name": name, "type": kinds.get(name, "validation")} for name in self._splits]

    def num_tasks(self, split: str) -> int:
        """How many problems a split has."""
        return len(self._problems(split))

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """Split, index and id of all problems of a split; the whole is in :meth:`get_task`."""
        ids = self._problems(split).ids
        return [{"split": split, "index": i, "problem_id": name} for i, name in enumerate(ids)]

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """What is asked at a place: ``problem_id``, ``split``, ``index``, ``prompt``, ...

        Raises:
            IndexError: If the split has no such place.
        """
        return _task(_at(self._problems(split), index), split, index)

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[dict[str, Any]]:
        """What is asked at the places of a slice."""
        places = range(*slice(start, stop).indices(self.num_tasks(split)))
        return [self.get_task(split, index) for index in places]

    def _problems(self, split: str) -> ProblemSet:
        if split not in self._splits:
            raise UnknownNameError("split", split, self._splits)
        return self._splits[split]


def _at(problems: ProblemSet, index: int) -> Problem:
    if not isinstance(index, int) or isinstance(index, bool):
        raise ConfigurationError(f"index must be a whole number, got {index!r:.80}.")
    if not 0 <= index < len(problems):
        raise IndexError(f"index {index} of {len(problems)} problems: expected 0 or more, and less")
    return problems[index]


def _task(problem: Problem, split: str, index: int) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "split": split,
        "index": index,
        "difficulty": problem.difficulty,
        "prompt": ask(problem),
    }


def make_app(
    splits: Mapping[str, ProblemSet],
    *,
    reward: RewardSpec = "binary",
    grader: Grader | None = None,
    sessions: int = _SESSIONS,
) -> Any:
    """OpenEnv's application (FastAPI) for some problems.

    Args:
        splits: The problems, by the name of their split; ``reset()`` takes the first by default.
        reward: How a grade becomes a reward.
        grader: Runs and judges the programs of all sessions; default: one of the application's.
        sessions: How many episodes may be open at a time.

    Raises:
        ConfigurationError: If OpenEnv is not installed, or an argument has no meaning.
    """
    good = isinstance(splits, Mapping) and bool(splits)
    if not good or not all(isinstance(p, ProblemSet) and len(p) for p in splits.values()):
        raise ConfigurationError(
            "splits must be a mapping of one or more names to ProblemSets that are not empty, got "
            f"{splits!r:.120}."
        )
    if not isinstance(sessions, int) or isinstance(sessions, bool) or sessions < 1:
        raise ConfigurationError(f"sessions must be an int of 1 or more, got {sessions!r:.80}.")
    make_reward(reward)
    base, pydantic = _openenv(), importlib.import_module("pydantic")
    action = pydantic.create_model(
        "ProgramAction",
        __base__=base.Action,
        answer=(str, pydantic.Field(description="The answer: prose, and a program in a fence.")),
    )
    observation = pydantic.create_model(
        "ProgramObservation",
        __base__=base.Observation,
        problem_id=(str, ...),
        split=(str, ...),
        index=(int, ...),
        difficulty=(str, ...),
        prompt=(str, pydantic.Field(description="What is asked.")),
        verdict=(str | None, None),
        tests_passed=(int | None, None),
        tests_total=(int | None, None),
        reward_terms=(dict[str, float], pydantic.Field(default_factory=dict)),
        error_type=(str | None, None),
        error_line=(int | None, None),
    )
    metadata = importlib.import_module("openenv.core.env_server.types").EnvironmentMetadata(
        name="codegym", description="A programming problem, answered with one Python program."
    )
    environment = type(
        "CodegymEnvironment",
        (ProgramEnvironment, base.Environment),
        {"get_metadata": lambda _: metadata},
    )
    shared = Grader() if grader is None else grader

    def session() -> Any:
        return environment(splits, observation, base.State, reward=reward, grader=shared)

    return base.create_app(
        session, action, observation, env_name="codegym", max_concurrent_envs=sessions
    )


def app_of_source(
    source: str = "mini",
    *,
    splits: Sequence[str] = (),
    reward: RewardSpec = "binary",
    limits: Mapping[str, float] | None = None,
    sessions: int = _SESSIONS,
    **arguments: Any,
) -> Any:
    """OpenEnv's application for a source of problems.

    Args:
        source: As in :func:`codegym.load_problems`.
        splits: Names of its splits; none: all that it has rows of, as one split named ``all``.
        reward: How a grade becomes a reward.
        limits: What one test may use, by the names of :class:`~codegym.ExecutionLimits`.
        sessions: How many episodes may be open at a time.
        arguments: What else :func:`codegym.load_problems` takes.

    Raises:
        CodegymError: As :func:`codegym.load_problems` and :func:`make_app` do.
    """
    if isinstance(splits, str):
        raise ConfigurationError(f"splits must be several names, such as [{splits!r}].")
    named: dict[str, str | None] = {split: split for split in splits} or {"all": None}
    loaded = {
        name: load_problems(source, split=split, **arguments) for name, split in named.items()
    }
    return make_app(loaded, reward=reward, grader=Grader(limits=limits), sessions=sessions)


def app_from_environment() -> Any:
    """:func:`app_of_source` with the arguments in ``$CODEGYM_OPENENV``, a JSON object.

    ``openenv.yaml`` and ``uvicorn --factory`` name an application without arguments.

    Raises:
        ConfigurationError: If the variable holds no JSON object, or one with other arguments.
    """
    text = os.environ.get(SETTINGS, "{}")
    try:
        settings = json.loads(text, object_pairs_hook=unique_keys)
        if not isinstance(settings, dict):
            raise TypeError(f"it holds {type(settings).__name__}")
        return app_of_source(**settings)
    except (json.JSONDecodeError, ProblemError, TypeError) as error:
        raise ConfigurationError(
            f"${SETTINGS} must be a JSON object with arguments of app_of_source(), such as "
            f'{{"source": "humaneval", "splits": ["test"]}}, got {text:.120} ({error}).'
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves a source of problems until it is interrupted.

    Args:
        arguments: Those of the command line; None: this process's.
    """
    parser = argparse.ArgumentParser(prog="python -m codegym.integrations.openenv")
    parser.add_argument("--source", default="mini")
    parser.add_argument("--split", action="append", default=[], help="may be given several times")
    parser.add_argument("--data", help="file or folder of the source")
    parser.add_argument("--difficulty")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--reward", default="binary")
    parser.add_argument("--sessions", type=int, default=_SESSIONS)
    parser.add_argument("--host", default="127.0.0.1", help="there is no authentication")
    parser.add_argument("--port", type=int, default=8000)
    told = vars(parser.parse_args(arguments))
    host, port, splits = told.pop("host"), told.pop("port"), told.pop("split")
    app = app_of_source(splits=splits, **told)
    importlib.import_module("uvicorn").run(app, host=host, port=port)


def _openenv() -> Any:
    try:
        return importlib.import_module("openenv.core.env_server")
    except ImportError as error:
        raise ConfigurationError(
            f"This needs the package openenv (0.10): pip install openenv ({error})"
        ) from error


if __name__ == "__main__":
    main()
