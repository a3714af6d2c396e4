"""The rules of an episode: what reset draws, what ends it, what its end is worth.

One object serves a single environment or all sub-environments of a vector environment. It holds
no episode; the environments keep the tokens.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.envs.arguments import Weighting, make_limits, make_problems, positive
from codegym.envs.outcome import Outcome, assess
from codegym.envs.prompt_format import Prompt, PromptFormat, make_prompt_format
from codegym.envs.reset_options import ResetOptions
from codegym.errors import ConfigurationError, ContextLengthError, UnknownNameError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.grading.grader import Grader
from codegym.grading.verdict import Grade
from codegym.problems.dataset import ProblemSet
from codegym.problems.problem import Problem
from codegym.programs.program import Program
from codegym.rewards.registry import make_reward
from codegym.start_states.prefix import EmptyPrefix, check_prefix
from codegym.start_states.registry import make_start_states
from codegym.start_states.start_state import Reference, StartState, StartStates
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["CodeTask", "Episode", "TaskViews", "find_stop"]

_CACHED_TEXTS = 16_384
LITERAL = -1
"""The stage of an episode whose given code was a literal `prefix` option."""


@dataclasses.dataclass(frozen=True, slots=True)
class Episode:
    """What reset drew; constant until the end.

    Attributes:
        problem: What is asked.
        prompt: How it is shown.
        reference: The canonical program, seen from where the prompt ends.
        start: The given code and its stage; stage -1 if it was a literal prefix.
        drawn: Whether the start distribution chose it, and so learns from it.
        token_ids: (start_length,) prompt and given code.
        prompt_length: Number of prompt tokens.
        written_from: Byte offset in the program at which generated code begins.
    """

    problem: Problem
    prompt: Prompt
    reference: Reference
    start: StartState
    drawn: bool
    token_ids: npt.NDArray[np.int64]
    prompt_length: int
    written_from: int

    def info(self) -> dict[str, Any]:
        """What ``reset`` tells of it."""
        return {
            "problem_id": self.problem.id,
            "difficulty": self.problem.difficulty,
            "stage": self.start.stage,
            "num_stages": self.start.num_stages,
            "prompt_length": self.prompt_length,
            "start_length": len(self.token_ids),
        }


class CodeTask:
    """Problems, tokenizer, start states, grader and reward of an environment.

    Args:
        source: Name of the data source, see :func:`codegym.load_problems`.
        split: Its split; the source's own default if None.
        difficulty: Only problems of this difficulty.
        data: Path of the data file or folder.
        size: Number of problems (generated sources only).
        seed: Seed of the problem generator (generated sources only). Episodes are seeded by
            ``reset(seed=...)``.
        problems: A problem set, instead of the five arguments above.
        tokenizer: ``"mini"``, ``"byte"``, ``"hf:<name or path>"``, a Hugging Face tokenizer, or a
            :class:`~codegym.tokenization.Tokenizer`.
        prompt_format: ``"auto"``, ``"completion"``, ``"instruction"``, ``"chat"``, or a
            :class:`~codegym.envs.PromptFormat`.
        start: ``"empty"``, ``"cccs"``, ``"uniform"``, ``"lines"``, ``"jsrl"``, or a
            :class:`~codegym.start_states.StartStates` shared with others.
        reward: ``"stepcoder"``, ``"binary"``, ``"pass_ratio"``, ``"rltf"``, or a callable of the
            :class:`~codegym.grading.Grade`.
        max_new_tokens: Budget of generated tokens.
        context_length: L, the length of an observation; prompt, given and generated tokens.
        limits: What a program may use, per test: an :class:`~codegym.execution.ExecutionLimits`
            or a mapping of its fields.
        executor: Runs the programs; a local pool by default.
        grader: Judges the programs, instead of `limits` and `executor`. Not closed by
            :meth:`close`.
        weighting: Draw problems in proportion to their number of stages (``"stages"``, as
            StepCoder does; the same as uniform where every problem has one) or uniformly.

    Raises:
        ConfigurationError: If an argument has no meaning.
        DataError: If the problems can not be loaded.
    """

    def __init__(
        self,
        *,
        source: str = "mini",
        split: str | None = None,
        difficulty: str | None = None,
        data: str | Path | None = None,
        size: int | None = None,
        seed: int | None = None,
        problems: ProblemSet | None = None,
        tokenizer: str | Tokenizer | Any = "byte",
        prompt_format: str | PromptFormat = "auto",
        start: str | StartStates = "empty",
        reward: str | Callable[[Grade], float | Mapping[str, float]] = "stepcoder",
        max_new_tokens: int = 1024,
        context_length: int = 4096,
        limits: ExecutionLimits | Mapping[str, float] | None = None,
        executor: Executor | None = None,
        grader: Grader | None = None,
        weighting: Weighting = "stages",
    ) -> None:
        self.max_new_tokens = positive("max_new_tokens", max_new_tokens)
        self.context_length = positive("context_length", context_length)
        if weighting not in ("stages", "uniform"):
            raise UnknownNameError("weighting", weighting, ("stages", "uniform"))
        if grader is not None and (executor is not None or limits is not None):
            raise ConfigurationError(
                "Give either grader= or executor= and limits=, not both: a grader has its own."
            )
        self.tokenizer: Tokenizer = make_tokenizer(tokenizer)
        self.prompt_format = make_prompt_format(prompt_format, tokenizer)
        self.start_states = make_start_states(start)
        self.reward = make_reward(reward)
        self.weighting = weighting
        self.problems = make_problems(
            problems,
            source=source,
            split=split,
            difficulty=difficulty,
            data=data,
            size=size,
            seed=seed,
        )
        self._owns_grader = grader is None
        self.grader = grader or Grader(executor, make_limits(limits))
        self._encode = functools.lru_cache(_CACHED_TEXTS)(self._encode_uncached)

    @property
    def action_space(self) -> gymnasium.spaces.Discrete[np.int64]:
        """One action for each token."""
        return gymnasium.spaces.Discrete(self.tokenizer.vocab_size)

    @property
    def observation_space(self) -> gymnasium.spaces.Dict:
        """Token ids and attention mask, both of shape (context_length,)."""
        shape = (self.context_length,)
        return gymnasium.spaces.Dict(
            {
                "input_ids": gymnasium.spaces.Box(
                    0, self.tokenizer.vocab_size - 1, shape, np.int64
                ),
                "attention_mask": gymnasium.spaces.Box(0, 1, shape, np.int8),
            }
        )

    def reference(self, problem: Problem) -> Reference:
        """The canonical program of a problem; only its header where the source has none."""
        header = self.prompt_format.render(problem).header
        return Reference(problem.id, problem.canonical_solution or header, header)

    def begin(self, rng: np.random.Generator, options: ResetOptions) -> Episode:
        """Draws a problem and a start state.

        Raises:
            UnknownNameError: If the options name a problem that is not in the set.
            StartStateError: If they name a stage that the problem does not have, or a prefix
                that does not begin its canonical solution.
            ContextLengthError: If no token can be generated within the context.
        """
        problem = self._draw_problem(rng, options.problem_id)
        prompt = self.prompt_format.render(problem)
        reference = self.reference(problem)
        if options.prefix is None:
            start = self.start_states.draw(reference, rng, options.stage)
            given = self._encode(start.prefix)
        else:
            given, text = options.prefix_tokens(self.tokenizer)
            if options.check_prefix:
                check_prefix(reference, text)
            start = StartState(text, LITERAL, self.start_states.num_stages(reference))
        prompt_ids = self._prompt_ids(prompt)
        token_ids = np.array([*prompt_ids, *given], dtype=np.int64)
        if len(token_ids) >= self.context_length:
            raise ContextLengthError(
                f"Problem {problem.id!r} needs {len(prompt_ids)} tokens for its prompt and "
                f"{len(given)} for the given code, which leaves no room to write in "
                f"context_length={self.context_length}. Raise context_length, or leave such "
                "problems out with problems.filter(...)."
            )
        written_from = len((prompt.header + start.prefix).encode("utf-8", "surrogateescape"))
        drawn = options.prefix is None and options.stage is None
        return Episode(
            problem, prompt, reference, start, drawn, token_ids, len(prompt_ids), written_from
        )

    def program(self, episode: Episode, generated: Sequence[int]) -> Program:
        """The program that was written: header, given code and generated code up to a stop."""
        written = b"".join(self.tokenizer.token_bytes(int(token)) for token in generated)
        cut = find_stop(written, episode.prompt.stop)
        given = (episode.prompt.header + episode.start.prefix).encode("utf-8", "surrogateescape")
        source = given + (written if cut is None else written[:cut])
        return Program(source.decode("utf-8", "surrogateescape"))

    def judge(self, ended: Sequence[tuple[Episode, npt.NDArray[np.int64]]]) -> list[Outcome]:
        """Executes and scores the programs of episodes that ended, all at once.

        Args:
            ended: Episodes and their generated tokens, (N,) int64.

        Raises:
            ExecutionError: If a program could not be run. Never the program's fault.
        """
        programs = [self.program(episode, generated.tolist()) for episode, generated in ended]
        grades = self.grader.grade_many(
            [
                (episode.problem, program.text)
                for (episode, _), program in zip(ended, programs, strict=True)
            ]
        )
        outcomes = []
        for (episode, generated), program, grade in zip(ended, programs, grades, strict=True):
            if episode.drawn:
                self.start_states.update(episode.reference, episode.start, solved=grade.solved)
            outcomes.append(
                assess(
                    program,
                    grade,
                    reward=self.reward,
                    tokenizer=self.tokenizer,
                    generated=generated,
                    written_from=episode.written_from,
                    start_length=len(episode.token_ids),
                    context_length=self.context_length,
                    info=episode.info(),
                    curriculum=self.start_states.describe(episode.reference),
                )
            )
        return outcomes

    def close(self) -> None:
        """Ends the grader's workers if they were made here."""
        if self._owns_grader:
            self.grader.close()

    def _prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        if prompt.ids is not None:
            return prompt.ids + self._encode(prompt.header)
        return self._encode(prompt.text + prompt.header)

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text))

    def _draw_problem(self, rng: np.random.Generator, problem_id: str | None) -> Problem:
        if problem_id is not None:
            return self.problems.by_id(problem_id)
        if self._cumulative_weights is None:
            return self.problems[int(rng.integers(len(self.problems)))]
        point = rng.random() * self._cumulative_weights[-1]
        return self.problems[int(np.searchsorted(self._cumulative_weights, point, side="right"))]

    @functools.cached_property
    def _cumulative_weights(self) -> npt.NDArray[np.float64] | None:
        """Running sum of the problems' weights, or None if all are equal."""
        if self.weighting == "uniform" or isinstance(self.start_states, EmptyPrefix):
            return None
        stages = [self.start_states.num_stages(self.reference(p)) for p in self.problems]
        return np.cumsum(np.array(stages, dtype=np.float64))


class TaskViews:
    """What an environment shows of its task; a base of both environments."""

    task: CodeTask

    @property
    def tokenizer(self) -> Tokenizer:
        """Turns text into actions and back."""
        return self.task.tokenizer

    @property
    def problems(self) -> ProblemSet:
        """The problems that are drawn from."""
        return self.task.problems

    @property
    def start_states(self) -> StartStates:
        """The start distribution, such as the curriculum; all sub-environments share it."""
        return self.task.start_states


def find_stop(written: bytes, stop: Sequence[str]) -> int | None:
    """Offset of the first stop sequence in generated bytes, or None."""
    found = [written.find(text.encode()) for text in stop]
    return min((offset for offset in found if offset >= 0), default=None)
