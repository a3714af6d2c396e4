"""Problems of codegym as tasks of verifiers (v1, 0.4).

Every task is a problem; the answer is the last reply, and the program in it is found by the rules
of :mod:`codegym.programs.answer`. Rewards need no runtime, so that saved traces can be scored again
(``vf-replay``). A failure of codegym's own is raised: the trace then holds a ``TaskError`` and no
reward, and trainers leave it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import verifiers.v1 as vf
from pydantic import Field

from codegym.grading import Grader
from codegym.integrations.questions import ask
from codegym.integrations.scores import Score, score_completion, shared_grader
from codegym.integrations.verifiers import ProblemReference, is_sound, references

__all__ = ["CodeTask", "CodeTaskConfig", "CodeTaskData", "CodegymTaskset", "CodegymTasksetConfig"]


class CodeTaskData(vf.TaskData):
    """Which problem a task is; the problem itself, and its tests, are no part of it."""

    source: str
    """The source of problems, as in ``codegym.load_problems``."""
    arguments: dict[str, Any]
    """What else the problem was loaded with."""
    problem_id: str
    """The problem's id in that set."""
    content_hash: str
    """What its content must be, so that another version of a data set is an error."""
    difficulty: str
    """The source's own word."""


class CodeTaskConfig(vf.TaskConfig):
    """How answers are scored: ``--env.taskset.task.*``."""

    reward: str = "binary"
    """The reward: ``stepcoder``, ``binary``, ``pass_ratio`` or ``rltf``."""
    limits: dict[str, float] | None = None
    """What one test may use, by the names of ``codegym.ExecutionLimits``."""


class CodeTask(vf.Task[CodeTaskData, vf.State, CodeTaskConfig]):
    """A problem: its reward, its metrics and its check."""

    @property
    def key(self) -> str:
        """Source, id and content: the same problem has the same key in every run."""
        data = self.data
        return f"{data.source}/{data.problem_id}/{data.content_hash[:16]}"

    @vf.reward(weight=1.0)
    async def unit_tests(self, trace: vf.Trace) -> float:
        """The reward that the configuration names."""
        return (await self._score(trace)).reward

    @vf.metric
    async def grade(self, trace: vf.Trace) -> dict[str, float]:
        """Whether all tests passed, and the share of those that did."""
        grade = (await self._score(trace)).grade
        trace.info["verdict"] = grade.verdict.value
        return {"solved": float(grade.solved), "pass_ratio": grade.pass_ratio}

    async def validate(self, runtime: vf.Runtime) -> bool | None:
        """Whether the reference solution passes; None if the source has none."""
        return await is_sound(self._reference().problem(), self._grader())

    async def _score(self, trace: vf.Trace) -> Score:
        # Asked for twice, it is run once: grades are kept by problem and program.
        return await score_completion(
            trace.last_reply,
            self._reference().problem(),
            reward=self.config.reward,
            grader=self._grader(),
        )

    def _reference(self) -> ProblemReference:
        data = self.data
        return ProblemReference(data.source, data.arguments, data.problem_id, data.content_hash)

    def _grader(self) -> Grader | None:
        return shared_grader(self.config.limits)


class CodegymTasksetConfig(vf.TasksetConfig):
    """Which problems: ``--env.taskset.*``, the arguments of ``codegym.load_problems``."""

    source: str = "mini"
    """The source of problems."""
    split: str | None = None
    """Which part of it."""
    difficulty: str | None = None
    """Only problems of this difficulty, in the source's own word."""
    data: str | None = None
    """A file or folder with the source's files."""
    limit: int | None = None
    """Stops after this many usable problems."""
    size: int | None = None
    """Of generated sources only: how many problems."""
    seed: int | None = None
    """Of generated sources only: chooses the problems."""
    packages: list[str] = Field(default_factory=list)
    """Packages that programs may import beside those that the source names."""
    task: CodeTaskConfig = CodeTaskConfig()
    """How answers are scored."""


class CodegymTaskset(vf.Taskset[CodeTask, CodegymTasksetConfig]):
    """The problems of a source."""

    def load(self) -> Iterator[CodeTask]:
        """One task a problem, in the source's order."""
        config = self.config
        found = references(
            config.source,
            split=config.split,
            difficulty=config.difficulty,
            data=config.data,
            limit=config.limit,
            size=config.size,
            seed=config.seed,
            packages=config.packages or None,
        )
        for reference, problem in found:
            data = CodeTaskData(
                id=problem.id,
                name=problem.id,
                prompt=ask(problem),
                source=reference.source,
                arguments=dict(reference.arguments),
                problem_id=problem.id,
                content_hash=reference.content_hash,
                difficulty=problem.difficulty,
            )
            yield CodeTask(data, config.task)
