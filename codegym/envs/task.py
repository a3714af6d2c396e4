"""The rules of an episode: what reset draws, what ends it, what its end is worth.

One object serves a single environment or all sub-environments of a vector environment. It holds
no episode; the environments keep the tokens.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.envs.arguments import Weighting, boolean, make_problems, positive
from codegym.envs.episode import LITERAL, Episode
from codegym.envs.outcome import Outcome, assess
from codegym.envs.prompt_format import Prompt, PromptFormat, make_prompt_format, prompt_tokens
from codegym.envs.reset_options import ResetOptions
from codegym.envs.step_scores import NOTHING, Paid, Scored, StepScores, ask
from codegym.envs.stop_sequences import StopAutomaton, find_stop
from codegym.errors import (
    ConfigurationError,
    ContextLengthError,
    RewardError,
    UnknownNameError,
)
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.grading.grader import Grader
from codegym.grading.verdict import Grade
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet
from codegym.programs.program import Program
from codegym.rewards.process import PROCESS, ProcessReward
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import checked_terms
from codegym.start_states.prefix import EmptyPrefix, check_prefix
from codegym.start_states.registry import make_start_states
from codegym.start_states.start_state import Reference, StartState, StartStates
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["CodeTask", "TaskViews"]

IntArray = npt.NDArray[np.int64]

_CACHED_PROBLEMS = _CACHED_TEXTS = 16_384
_CACHED_STOPS = 64


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """What is made of a problem once, for all episodes."""

    prompt: Prompt
    reference: Reference
    token_ids: IntArray


class CodeTask:
    """Problems, tokenizer, start states, grader and reward of an environment.

    Args:
        source: Name of the data source, see :func:`codegym.load_problems`.
        split: Its split; the source's own default if None.
        difficulty: Only problems of this difficulty.
        data: Path of the data file or folder; ``"sample"`` of ``apps_plus``: problems of codegym's
            own in its format.
        allow_sample: Whether that sample may stand in for ``apps_plus`` if no `data` is given and
            the machine has neither the file nor a network; it warns, once in a process, and
            ``info["source"]`` is then ``"apps_plus_sample"``. False: an error. No effect on other
            sources.
        packages: Packages that programs may import beside the standard library and what the data
            set's own judge has, see :func:`codegym.load_problems`.
        size: Number of problems (generated sources only).
        seed: Seed of the problem generator (generated sources only). Episodes are seeded by
            ``reset(seed=...)``.
        problems: A problem set, instead of the arguments above.
        tokenizer: ``"mini"``, ``"byte"``, ``"hf:<name or path>"``, a Hugging Face tokenizer, or a
            :class:`~codegym.tokenization.Tokenizer`.
        prompt_format: ``"auto"``, ``"completion"``, ``"instruction"``, ``"chat"``, or a
            :class:`~codegym.envs.PromptFormat`.
        start: ``"empty"``, ``"cccs"``, ``"uniform"``, ``"lines"``, ``"jsrl"``, or a
            :class:`~codegym.start_states.StartStates` shared with others.
        reward: ``"stepcoder"``, ``"binary"``, ``"pass_ratio"``, ``"rltf"``, a callable of the
            :class:`~codegym.grading.Grade`, or a :class:`~codegym.rewards.ProcessReward`.
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
        allow_sample: bool = True,
        packages: Sequence[str] = (),
        size: int | None = None,
        seed: int | None = None,
        problems: ProblemSet | None = None,
        tokenizer: str | Tokenizer | Any = "byte",
        prompt_format: str | PromptFormat = "auto",
        start: str | StartStates = "empty",
        reward: str | Callable[[Grade], float | Mapping[str, float]] | ProcessReward = "stepcoder",
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
        if grader is not None and not isinstance(grader, Grader):
            raise ConfigurationError(
                f"grader must be a codegym.Grader, got {type(grader).__name__}. What runs programs "
                "goes into executor=, or into the grader: Grader(executor)."
            )
        if grader is not None and (executor is not None or limits is not None):
            raise ConfigurationError(
                "Give either grader= or executor= and limits=, not both: a grader has its own."
            )
        self.tokenizer: Tokenizer = make_tokenizer(tokenizer)
        self.prompt_format = make_prompt_format(prompt_format, self.tokenizer)
        self.start_states = make_start_states(start)
        self.process: ProcessReward | None = None
        if isinstance(reward, ProcessReward):
            reward.check_tokenizer(self.tokenizer)
            self.process, reward = reward, reward.outcome
        self.reward = make_reward(reward)
        self.weighting = weighting
        self.problems = make_problems(
            problems,
            source=source,
            split=split,
            difficulty=difficulty,
            data=data,
            allow_sample=boolean("allow_sample", allow_sample),
            packages=packages,
            size=size,
            seed=seed,
        )
        self.grader = Grader(executor, limits) if grader is None else grader
        # The tasks that share it, copies of environments having one each; None: not ours to close.
        self._users: weakref.WeakSet[CodeTask] | None
        self._users = weakref.WeakSet((self,)) if grader is None else None
        self._forget()

    def _forget(self) -> None:
        """Begins with empty caches."""
        self._encode = functools.lru_cache(_CACHED_TEXTS)(self._encode_uncached)
        self._shown: collections.OrderedDict[str, _Shown] = collections.OrderedDict()
        self._automaton = functools.lru_cache(_CACHED_STOPS)(self._automaton_uncached)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # For a copy of an environment: the start distribution learns, so it is copied; the rest
        # does not change, and may be as large as a model. The grader's workers are shared too.
        for shared in (self.tokenizer, self.prompt_format, self.process, self.reward):
            memo[id(shared)] = shared
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(vars(self))
        twin.start_states = copy.deepcopy(self.start_states, memo)
        twin._forget()
        if self._users is not None and self in self._users:
            self._users.add(twin)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # For another process: a grader is rebuilt there, with workers of its own.
        left_out = ("_encode", "_shown", "_automaton", "_users")
        owned = self._users is not None
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**kept, "_owned": owned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        owned = state.pop("_owned")
        vars(self).update(state)
        self._users = weakref.WeakSet((self,)) if owned else None
        self._forget()

    @property
    def action_space(self) -> gymnasium.spaces.Discrete[np.int64]:
        """One action for each token."""
        return gymnasium.spaces.Discrete(self.tokenizer.vocab_size)

    def reference(self, problem: Problem) -> Reference:
        """The canonical program of a problem; only its header where the source has none."""
        return _reference(problem, self.prompt_format.render(problem))

    def stops(self, episode: Episode) -> StopAutomaton | None:
        """Finds the stop sequences of an episode's prompt; None if it has none."""
        return self._automaton(episode.prompt.stop) if episode.prompt.stop else None

    def steps(self, episode: Episode, scored: Scored = NOTHING) -> StepScores | None:
        """Follows the steps of an episode; None without a process reward.

        Args:
            episode: What reset drew.
            scored: What was scored and paid before, for an episode that goes on.
        """
        if self.process is None:
            return None
        return StepScores(self.process, self.tokenizer, episode, scored)

    def begin(self, rng: np.random.Generator, options: ResetOptions) -> tuple[Episode, IntArray]:
        """Draws a problem and a start state.

        Returns:
            The episode, and the tokens of prompt and given code, (start_length,) int64.

        Raises:
            UnknownNameError: If the options name a problem that is not in the set.
            StartStateError: If they name a stage that the problem does not have, or a prefix
                that does not begin its canonical solution.
            ContextLengthError: If no token can be generated within the context.
        """
        problem = self._draw_problem(rng, options.problem_id)
        shown = self._show(problem)
        if options.prefix is None:
            start = self.start_states.draw(shown.reference, rng, options.stage)
            given = self._encode(start.prefix)
        else:
            ids, text = options.prefix_tokens(self.tokenizer)
            if options.check_prefix:
                check_prefix(shown.reference, text)
            given = np.array(ids, dtype=np.int64)
            start = StartState(text, LITERAL, self.start_states.num_stages(shown.reference))
        token_ids = np.concatenate([shown.token_ids, given])
        if len(token_ids) >= self.context_length:
            raise ContextLengthError(
                f"Problem {problem.id!r} needs {len(shown.token_ids)} tokens for its prompt and "
                f"{len(given)} for the given code, which leaves no room to write in "
                f"context_length={self.context_length}. Raise context_length, or leave such "
                "problems out with problems.filter(...)."
            )
        episode = Episode(
            problem=problem,
            prompt=shown.prompt,
            reference=shown.reference,
            start=start,
            drawn=options.prefix is None and options.stage is None,
            start_length=len(token_ids),
            prompt_length=len(shown.token_ids),
            written_from=len(_bytes(shown.prompt.header + start.prefix)),
        )
        return episode, token_ids

    def program(self, episode: Episode, generated: Sequence[int]) -> Program:
        """The program that was written: header, given code and generated code up to a stop."""
        written = b"".join(self.tokenizer.token_bytes(int(token)) for token in generated)
        cut = find_stop(written, episode.prompt.stop)
        source = _bytes(episode.prompt.header + episode.start.prefix)
        source += written if cut is None else written[:cut]
        return Program(source.decode("utf-8", "surrogateescape"))

    def judge(self, episode: Episode, tokens: IntArray, steps: StepScores | None) -> Outcome:
        """Executes and scores the program of an episode that ended, and counts its outcome.

        Args:
            episode: What reset drew.
            tokens: (n,) prompt, given code and generated tokens.
            steps: Its steps, with a process reward.

        Raises:
            ExecutionError: If the program could not be run. Never the program's fault.
            RewardError: If the reward returned something that is no reward, or the scorer failed.
        """
        generated = tokens[episode.start_length :].copy()
        program = self.program(episode, generated.tolist())
        pending = self.grader.submit(episode.problem, program.text)
        if steps is not None:  # while the program runs
            steps.finish(tokens, program)
            ask([(steps, tokens)])
        grade = pending.result()
        terms = self.terms(grade)
        self.count(episode, solved=grade.solved)
        return self.outcome(episode, program, generated, grade, terms, steps)

    def terms(self, grade: Grade) -> dict[str, float]:
        """The reward's terms for a grade.

        Raises:
            RewardError: If the reward returned something that is no reward.
        """
        terms = checked_terms(self.reward, grade)
        if self.process is not None and PROCESS in terms:
            raise RewardError(
                f"The outcome of a ProcessReward must have no term named {PROCESS!r}: that is what "
                f"its scores are paid. {type(self.reward).__name__} returned {terms!r}."
            )
        return terms

    def count(self, episode: Episode, *, solved: bool) -> None:
        """Tells the start distribution what became of an episode that it began."""
        if episode.drawn:
            self.start_states.update(episode.reference, episode.start, solved=solved)

    def outcome(
        self,
        episode: Episode,
        program: Program,
        generated: IntArray,
        grade: Grade,
        terms: Mapping[str, float],
        steps: StepScores | None,
    ) -> Outcome:
        """What the last step of an episode returns; `steps`: all scored, with a process reward."""
        if steps is None:
            paid = Paid.at_the_end(terms)
        else:
            paid = steps.settle(terms, len(generated), solved=grade.solved)
        return assess(
            episode,
            program,
            generated,
            grade,
            paid=paid,
            tokenizer=self.tokenizer,
            context_length=self.context_length,
            curriculum=self.start_states.describe(episode.reference),
        )

    def close(self) -> None:
        """Ends the grader's workers if they were made here and no copy uses them any more."""
        if self._users is not None:
            self._users.discard(self)
            if not self._users:
                self.grader.close()

    def _show(self, problem: Problem) -> _Shown:
        shown = self._shown.get(problem.id)
        if shown is None:
            prompt = self.prompt_format.render(problem)
            token_ids = np.array(prompt_tokens(prompt, self.tokenizer), dtype=np.int64)
            shown = _Shown(prompt, _reference(problem, prompt), token_ids)
            self._shown[problem.id] = shown
            if len(self._shown) > _CACHED_PROBLEMS:
                self._shown.popitem(last=False)
        return shown

    def _encode_uncached(self, text: str) -> IntArray:
        return np.array(self.tokenizer.encode(text), dtype=np.int64)

    def _automaton_uncached(self, stop: tuple[str, ...]) -> StopAutomaton:
        return StopAutomaton(self.tokenizer, stop)

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


def _reference(problem: Problem, prompt: Prompt) -> Reference:
    return Reference(problem.id, problem.canonical_solution or prompt.header, prompt.header)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
