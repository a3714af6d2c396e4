"""The rules of an episode: what reset draws, what ends it, what its end is worth.

One object serves a single environment or all sub-environments of a vector environment. It holds
no episode; the environments keep the tokens.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, Unpack

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.envs.arguments import (
    TaskArguments,
    complete,
    documents_task_arguments,
    make_problems,
    positive,
)
from codegym.envs.episode import LITERAL, Episode, program_bytes
from codegym.envs.outcome import Outcome, assess
from codegym.envs.problem_sampler import ProblemSampler, make_sampler
from codegym.envs.prompt_format import Prompt, make_prompt_format, prompt_tokens
from codegym.envs.reset_options import ResetOptions
from codegym.envs.spelling import SpellingCache
from codegym.envs.stop_sequences import StopAutomaton, find_stop
from codegym.errors import (
    ConfigurationError,
    ContextLengthError,
    RewardError,
    StartStateWarning,
)
from codegym.grading.grader import Grader
from codegym.grading.judge import NO_PROGRAM, grade_without_program
from codegym.grading.verdict import Grade
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet
from codegym.programs.program import Program
from codegym.rewards.process.ledger import Ledger, Paid
from codegym.rewards.process.reward import PROCESS, ProcessReward
from codegym.rewards.process.scorer import check_scorer
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


@documents_task_arguments
class CodeTask:
    """Problems, tokenizer, start states, grader and reward of an environment.

    Its keyword arguments are:

    {task arguments}

    Raises:
        ConfigurationError: If an argument has no meaning.
        DataError: If the problems cannot be loaded.
    """

    def __init__(self, **arguments: Unpack[TaskArguments]) -> None:
        given = complete(arguments, owner=type(self))
        self.max_new_tokens = positive("max_new_tokens", given["max_new_tokens"])
        self.context_length = positive("context_length", given["context_length"])
        grader, executor, limits = given["grader"], given["executor"], given["limits"]
        if grader is not None and not isinstance(grader, Grader):
            raise ConfigurationError(
                f"grader must be a codegym.Grader, got {type(grader).__name__}. What runs programs "
                "goes into executor=, or into the grader: Grader(executor)."
            )
        if grader is not None and (executor is not None or limits is not None):
            raise ConfigurationError(
                "Give either grader= or executor= and limits=, not both: a grader has its own."
            )
        self.tokenizer: Tokenizer = make_tokenizer(given["tokenizer"])
        self.prompt_format = make_prompt_format(given["prompt_format"], self.tokenizer)
        self.start_states = make_start_states(given["start"])
        reward = given["reward"]
        self.process: ProcessReward | None = None
        if isinstance(reward, ProcessReward):
            check_scorer(reward.scorer, self.tokenizer)
            self.process, reward = reward, reward.outcome
        self.reward = make_reward(reward)
        sampler = given["sampler"]
        if isinstance(sampler, str):
            make_sampler(sampler, (), None)
        self.grader = Grader(executor, limits) if grader is None else grader
        if given["tests"] is not None:
            positive("tests", given["tests"])
        self.problems = make_problems(given)  # which may take long: wrong arguments are told before
        self._check_named_problems()
        self._check_answers(self.prompt_format.render(self.problems[0]))
        self._warn_without_solutions()
        one_stage = isinstance(self.start_states, EmptyPrefix)
        self.sampler = make_sampler(sampler, self.problems, None if one_stage else self._num_stages)
        # The tasks that share it, copies of environments having one each; None: not ours to close.
        self._users: weakref.WeakSet[CodeTask] | None
        self._users = weakref.WeakSet((self,)) if grader is None else None
        self._forget()

    def _forget(self) -> None:
        """Begins with empty caches."""
        self._spelling = SpellingCache(self.tokenizer)
        self._encode = functools.lru_cache(_CACHED_TEXTS)(self._encode_uncached)
        self._shown: collections.OrderedDict[str, _Shown] = collections.OrderedDict()
        self._automaton = functools.lru_cache(_CACHED_STOPS)(self._automaton_uncached)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # For a copy of an environment: start distribution and sampler learn, so they are copied.
        # The rest does not change, and may be as large as a model. The grader's workers are shared.
        unchanged = (
            self.tokenizer, self.prompt_format, self.process, self.reward, self.problems,
        )  # fmt: skip
        for shared in unchanged:
            memo[id(shared)] = shared
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(vars(self))
        twin.start_states = copy.deepcopy(self.start_states, memo)
        twin.sampler = copy.deepcopy(self.sampler, memo)
        twin._forget()
        if self._users is not None and self in self._users:
            self._users.add(twin)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # For another process: a grader is rebuilt there, with workers of its own.
        left_out = ("_spelling", "_encode", "_shown", "_automaton", "_users")
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

    def ledger(self, tokens_of: Callable[[int], IntArray], *, names_rows: bool) -> Ledger | None:
        """The accounts of an environment's process reward; None without one.

        Args:
            tokens_of: Tells all tokens of a row.
            names_rows: Whether messages name rows as sub-environments.
        """
        if self.process is None:
            return None
        return Ledger(self.process, self._spelling, tokens_of, names_rows=names_rows)

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
            if options.check_prefix and shown.prompt.answer is None:
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
            problem_drawn=options.problem_id is None,
            start_drawn=options.prefix is None and options.stage is None,
            start_length=len(token_ids),
            prompt_length=len(shown.token_ids),
            written_from=len(program_bytes(_begun(shown.prompt) + start.prefix)),
        )
        return episode, token_ids

    def program(self, episode: Episode, generated: IntArray) -> Program | None:
        """The program that was written: header, given code and generated code up to a stop.

        Where the prompt asks for an answer, what was found in that; None if there is none.
        """
        if episode.prompt.answer is not None:
            ids = generated.tolist()
            _, found = episode.answer(b"".join(map(self._spelling.answer_bytes, ids)))
            return None if found is None else Program(found.text)
        written = b"".join(map(self._spelling.token_bytes, generated.tolist()))
        cut = find_stop(written, episode.prompt.stop)
        source = episode.given + (written if cut is None else written[:cut])
        return Program(source.decode("utf-8", "surrogateescape"))

    def submit(self, episode: Episode, program: Program | None) -> Future[Grade]:
        """Starts to grade what was written in an episode.

        Raises:
            ClosedError: If the grader was closed.
            ConfigurationError: If the problem cannot be graded.
        """
        if program is not None:
            return self.grader.submit(episode.problem, program.text)
        grade: Future[Grade] = Future()
        grade.set_result(grade_without_program(episode.problem, NO_PROGRAM))
        return grade

    def terms(self, grade: Grade) -> dict[str, float]:
        """The reward's terms for a grade; none where there is no verdict.

        Raises:
            RewardError: If the reward returned something that is not a reward.
        """
        terms = checked_terms(self.reward, grade)
        if self.process is not None and PROCESS in terms:
            raise RewardError(
                f"The outcome of a ProcessReward must have no term named {PROCESS!r}: that is what "
                f"its scores are paid. {type(self.reward).__name__} returned {terms!r}."
            )
        return terms

    def count(self, episode: Episode, grade: Grade) -> None:
        """Tells start distribution and sampler what became of an episode that they began.

        An episode without a verdict is none of theirs.
        """
        if not grade.judged:
            return
        if episode.start_drawn:
            self.start_states.update(episode.reference, episode.start, solved=grade.solved)
        if episode.problem_drawn:
            self.sampler.update(episode.problem, grade)

    def outcome(
        self,
        episode: Episode,
        program: Program | None,
        generated: IntArray,
        grade: Grade,
        paid: Paid,
    ) -> Outcome:
        """What the last step of an episode returns."""
        return assess(
            episode,
            program,
            generated,
            grade,
            paid=paid,
            tokenizer=self._spelling,
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
            self._check_answers(prompt)
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
        drawn = self.sampler.draw(rng)
        legal = isinstance(drawn, int | np.integer) and not isinstance(drawn, bool)
        if not legal or not 0 <= drawn < len(self.problems):
            raise ConfigurationError(
                f"A sampler draws an index from 0 to {len(self.problems) - 1}, an int; "
                f"{type(self.sampler).__name__} drew {drawn!r:.80}."
            )
        return self.problems[int(drawn)]

    def _check_named_problems(self) -> None:
        """Raises an UnknownNameError if the start distribution names a problem that is not here."""
        for problem_id in getattr(self.start_states, "problem_ids", ()):
            self.problems.check_id(problem_id)

    def _check_answers(self, prompt: Prompt) -> None:
        """Raises a ConfigurationError if start states or rewards need a program, not an answer."""
        if prompt.answer is None:
            return
        if not isinstance(self.start_states, EmptyPrefix):
            raise ConfigurationError(
                "The prompt asks for an answer in which the program is found, so no start state "
                'can begin the program. Use start="empty" with it, or prompt_format="chat", whose '
                f"answer begins with the program; got {type(self.start_states).__name__}."
            )
        if self.process is not None:
            raise ConfigurationError(
                "A process reward pays for lines of a program, which are not known before an "
                'answer is whole. Use prompt_format="chat" with it, or a reward for the outcome.'
            )

    def _warn_without_solutions(self) -> None:
        needs = getattr(self.start_states, "needs_solutions", False)
        if needs and not any(problem.canonical_solution for problem in self.problems):
            warnings.warn(
                f"{type(self.start_states).__name__} takes start states from canonical solutions, "
                f"but none of the {len(self.problems)} problems has one: every episode begins with "
                'the prompt alone, as with start="empty". Use problems with solutions, or say '
                'start="empty".',
                StartStateWarning,
                stacklevel=3,
            )

    def _num_stages(self, problem: Problem) -> int:
        return self.start_states.num_stages(self.reference(problem))


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

    @property
    def sampler(self) -> ProblemSampler:
        """What draws problems; all sub-environments share it."""
        return self.task.sampler


def _begun(prompt: Prompt) -> str:
    """What the prompt has begun of what is to be written."""
    return prompt.header if prompt.answer is None else prompt.answer.begun


def _reference(problem: Problem, prompt: Prompt) -> Reference:
    return Reference(problem.id, problem.canonical_solution or prompt.header, prompt.header)
