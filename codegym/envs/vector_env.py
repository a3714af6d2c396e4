"""Many programs at a time: one environment, all sub-environments in numpy arrays.

Episodes are those of as many single environments under the same seeds and actions; only the
grading is shared. This module says in which order things happen within a step. The tokens are in
:mod:`codegym.envs.rows`, programs that wait for a grade in :mod:`codegym.envs.judging`.
"""

from __future__ import annotations

import copy
import operator
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self, SupportsIndex, Unpack

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from codegym.envs.actions import checked_batch, checked_continuation
from codegym.envs.arguments import (
    TaskArguments,
    boolean,
    check_names,
    documents_task_arguments,
    positive,
)
from codegym.envs.code_env import CodeEnv
from codegym.envs.episode import Episode
from codegym.envs.infos import add_infos
from codegym.envs.judging import Graded, Judging, JudgingLane, Wait, make_judging
from codegym.envs.outcome import Outcome
from codegym.envs.rendering import checked_render_mode, render_ansi
from codegym.envs.reset_options import (
    ResetOptions,
    given_options,
    reset_mask,
    spread_options,
    spread_seeds,
)
from codegym.envs.rows import TokenRows
from codegym.envs.spaces import observation_space
from codegym.envs.task import CodeTask, TaskViews
from codegym.envs.time_limit import checked_limit
from codegym.errors import (
    ClosedError,
    ConfigurationError,
    EpisodeError,
    ResetNeededError,
    UnknownNameError,
)
from codegym.rewards.process.ledger import Paid

__all__ = ["CodeVectorEnv"]

_NO_OPTIONS = ResetOptions()

Observation = dict[str, Any]  # of (num_envs, L) arrays
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
StepResult = tuple[Observation, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]


@documents_task_arguments
class CodeVectorEnv(TaskViews, VectorEnv[Observation, npt.NDArray[np.int64], npt.NDArray[Any]]):
    """The vector form of :class:`~codegym.envs.CodeEnv`, which documents the episode.

    Observations, actions, rewards, flags and infos are batched as Gymnasium's ``SyncVectorEnv``
    does: ``input_ids`` and ``attention_mask`` have shape (num_envs, context_length), and each key
    of an info has an array and a mask ``_key`` of the sub-environments that told it.

    ## Judging
    ``"sync"``: a step waits for the grades of all programs that end in it, judged side by side.

    ``"async"``: it does not. From the step in which its program ends, a sub-environment is *being
    judged*: flags False, reward 0, its action ignored, ``infos["judging"][i]`` True (each step has
    this key). Flag, reward and info come in the first later step at whose beginning the grade is
    in. A step waits, for one grade, only if nothing else could happen in it: every sub-environment
    is being judged or, in the mode ``DISABLED``, has ended. Each sub-environment sees the episodes
    that it would see under ``"sync"``.

    A program that could not be run has no reward. The sub-environment stays flagged as being
    judged, also under ``"sync"``, and the next step raises the ``ExecutionError`` before it changes
    anything; so does each step until that sub-environment is reset. The others keep their programs
    and grades. A reset of a sub-environment that is being judged abandons its grade.

    Start distribution and sampler learn outcomes in the order in which programs ended (of one step:
    by index), in both ways of judging. Under ``"async"`` an outcome waits for those before it, so
    ``infos["curriculum"]`` may not hold it yet; once nothing is being judged, all are counted.

    With a :class:`~codegym.rewards.ProcessReward`, lines are paid for in the step in which they
    end, and what the last token earns with the outcome. A step asks the scorer once at most, for
    all lines that ended, and before that once more if the last call failed: a scorer that fails is
    told as a program that could not be run is.

    ## Whole continuations
    Agents that generate with an engine of their own need no step for each token:
    :meth:`submit` appends a whole continuation to one sub-environment, :meth:`collect` is a step
    that appends nothing. Both may be mixed with ``step``. They are methods of this class:
    Gymnasium's wrappers do not see them.

    Args:
        num_envs: Number of sub-environments.
        autoreset_mode: When a sub-environment that ended begins anew: on the next step, in the
            same step (with ``final_obs`` and ``final_info``), or when
            ``reset(options={"reset_mask": ...})`` says so. While it waits for that, in the mode
            ``DISABLED``, it ignores its action and returns reward 0, so that agents can finish a
            batch of episodes of different lengths. Its flags are those of no end: an end is told
            once, in its step, so that Gymnasium's wrappers count it once.
        judging: ``"sync"`` or ``"async"``, see above.
        copy: True returns new arrays with each observation. False returns the environment's own
            arrays, always the same two: the next step, submit or reset writes into them. Do not
            change them; copy what is to be kept. Their rows are contiguous, they as a whole need
            not be. ``final_obs`` and everything else that is returned is the caller's. A step
            costs the same at any context length.
        max_episode_steps: A budget beside ``max_new_tokens``, as ``gymnasium.make_vec`` hands it
            over; the smaller one ends an episode. None or -1: no other budget.
        render_mode: None or ``"ansi"``.
        task: Keyword arguments of the task, which are:

    {task arguments}

    Raises:
        ConfigurationError: If an argument is unknown or has no meaning.
        DataError: If the problems cannot be loaded.

    Example:
        >>> import numpy as np
        >>> envs = CodeVectorEnv(2, tokenizer="byte", context_length=2000)
        >>> obs, infos = envs.reset(seed=0)
        >>> ends = np.full(2, envs.tokenizer.end_id)
        >>> obs, rewards, terminated, truncated, infos = envs.step(ends)
        >>> obs["input_ids"].shape, terminated.tolist(), infos["verdict"].tolist()
        ((2, 2000), [True, True], ['compile_error', 'compile_error'])
        >>> envs.close()
    """

    def __init__(
        self,
        num_envs: int,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        judging: Judging = "sync",
        copy: bool = True,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **task: Unpack[TaskArguments],
    ) -> None:
        check_names(task, CodeVectorEnv)
        self.num_envs = positive("num_envs", num_envs)
        self.autoreset_mode = _make_autoreset_mode(autoreset_mode)
        self.judging = make_judging(judging)
        self.copy = boolean("copy", copy)
        self.render_mode = checked_render_mode(render_mode)
        self.metadata = {**CodeEnv.metadata, "autoreset_mode": self.autoreset_mode}
        limit = checked_limit(max_episode_steps)
        self.task = CodeTask(**task)
        self.single_action_space = self.task.action_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        lengths = self.tokenizer.vocab_size, self.task.context_length
        self.single_observation_space = observation_space(*lengths)
        self.observation_space = observation_space(*lengths, num_envs)
        self._budget = min(self.task.max_new_tokens, limit or self.task.max_new_tokens)
        self._rows = TokenRows(num_envs, self.task.context_length, self.tokenizer)
        self._lane = JudgingLane(self.task)
        self._ledger = self.task.ledger(self._rows.tokens, names_rows=True)
        self._vocab_size = self.tokenizer.vocab_size
        self._episodes: dict[int, Episode] = {}
        self._outcomes: dict[int, Outcome] = {}  # of episodes that have ended; for rendering
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._never_reset = num_envs
        # A sub-environment writes, is being judged, or has ended.
        self._writing = np.zeros(num_envs, dtype=bool)
        self._being_judged = np.zeros(num_envs, dtype=bool)
        self._terminated = np.zeros(num_envs, dtype=bool)
        self._truncated = np.zeros(num_envs, dtype=bool)
        self._by_agent = np.zeros(num_envs, dtype=bool)  # the end is a termination
        self._belong_here()

    def _belong_here(self) -> None:
        self._pid = os.getpid()
        # Also when the environment is dropped: a pending program would keep its worker.
        self._end_workers = weakref.finalize(self, _close_task, self.task, self._pid)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two environments cannot share the arrays of their episodes

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_pid", "_end_workers")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._belong_here()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: One seed for each sub-environment, or an int: ``seed + i`` for the i-th.
            options: Those of :class:`~codegym.envs.CodeEnv`, each a single value or a sequence of
                one for each sub-environment (None: not asked for); and ``reset_mask``,
                (num_envs,) bool, the sub-environments to reset.

        Returns:
            The whole batch's observation, and the infos of the sub-environments that were reset.

        Raises:
            ConfigurationError: If seeds, options or the mask do not fit the batch.
            UnknownNameError: If the options name something unknown.
            StartStateError: If they ask for a start state that does not exist.
            ContextLengthError: If prompt and given code fill the context.
        """
        self._check_usable()
        given = given_options(options)
        rows = np.flatnonzero(reset_mask(given.pop("reset_mask", None), self.num_envs)).tolist()
        seeds = spread_seeds(seed, self.num_envs)
        parsed = [ResetOptions.parse(one) for one in spread_options(given, self.num_envs)]
        for i in rows:
            if seeds[i] is not None or self._rngs[i] is None:
                self._rngs[i] = seeding.np_random(seeds[i])[0]
        infos: dict[str, Any] = {}
        self._begin([self._draw(i, parsed[i]) for i in rows], infos)
        return self._rows.observation(copy=self.copy), infos

    def step(self, actions: npt.NDArray[np.int64]) -> StepResult:
        """Appends one token to each running sub-environment.

        Args:
            actions: (num_envs,) token ids.

        Raises:
            InvalidActionError: If the batch has another shape, no integer type, or an id outside
                of the vocabulary where it matters.
            ResetNeededError: Before the first reset.
            ExecutionError: If a program could not be run, see above. Nothing has changed then.
            RewardError: In the same way, if a reward is not a reward.
            ClosedError: After ``close``.
            EpisodeError: In a fork of the process that made the environment.
        """
        self._check_usable()
        self._check_reset("step()")
        tokens = checked_batch(actions, self._vocab_size, self._writing)
        return self._advance(tokens, wait=not self._writing.any())

    def submit(self, index: SupportsIndex, continuation: Sequence[int] | IntArray) -> int:
        """Appends a whole continuation to one sub-environment, as that many steps would.

        If it ends the episode, the program is sent to the grader at once; :meth:`collect` or
        ``step`` tells the end. Tokens after the end belong to no episode and are left out.

        Args:
            index: The sub-environment that writes them.
            continuation: (T,) token ids, at least one.

        Returns:
            How many of the tokens were appended, the one that ends the episode included.

        Raises:
            ConfigurationError: If there is no such sub-environment.
            InvalidActionError: If the tokens are not ids of the vocabulary.
            ResetNeededError: If the sub-environment was not reset, is being judged, or has ended.
            ClosedError: After ``close``.
            EpisodeError: In a fork of the process that made the environment.
        """
        self._check_usable()
        i = self._checked_index(index)
        tokens = checked_continuation(continuation, self._vocab_size)
        if not self._writing[i]:
            raise ResetNeededError(
                f"Sub-environment {i} takes no continuation: it was not reset, is being judged, "
                "or has ended. collect() tells the end; autoreset or reset() begins anew."
            )
        count, terminated, truncated = self._rows.extend(i, tokens)
        if terminated or truncated:
            self._send(i, by_agent=terminated)
        elif self._ledger is not None:
            self._ledger.wrote(i)
        return count

    def collect(self, *, wait: bool = True) -> StepResult:
        """A step that appends no token: tells the ends of programs that were sent.

        Args:
            wait: Wait for grades if any is to come: under ``"sync"`` for all, under ``"async"``
                for one, and not in a step in which a sub-environment begins. False: never wait.

        Returns:
            What ``step`` returns.

        Raises:
            ResetNeededError: Before the first reset.
            ExecutionError: If a program could not be run, see above. Nothing has changed then.
            RewardError: In the same way, if a reward is not a reward.
            ClosedError: After ``close``.
            EpisodeError: In a fork of the process that made the environment.
        """
        self._check_usable()
        self._check_reset("collect()")
        return self._advance(None, wait=wait)

    def render(self) -> tuple[str, ...] | None:
        """The program of each sub-environment that was reset, as the single environment shows it.

        None without a render mode. Under ``SAME_STEP`` an episode that ended is not shown: the next
        one has begun.
        """
        if self.render_mode is None:
            return None
        return tuple(
            render_ansi(
                episode,
                self.task.program(episode, self._rows.generated(i)),
                self._outcomes.get(i),
            )
            for i, episode in sorted(self._episodes.items())
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the workers that were started for this environment (called by ``close``).

        Grades that are pending are abandoned. Programs that a grader or executor of the caller's
        is running run on in its own workers.
        """
        self._lane.close()
        self._end_workers()

    def _advance(self, tokens: IntArray | None, *, wait: bool) -> StepResult:
        """One step: some begin, some write, and those whose grade is in end.

        Args:
            tokens: (num_envs,) token ids; None: nothing is written.
            wait: Whether to wait for a grade if nothing begins.
        """
        in_sync = self.judging == "sync" and (wait or tokens is not None)
        begins = self._ended() if self.autoreset_mode is AutoresetMode.NEXT_STEP else []
        wait_for: Wait = "all" if in_sync else "one" if wait and not begins else "none"
        # What went wrong with a score or a program is raised here and nowhere else: nothing has
        # changed yet.
        ledger = self._ledger
        if ledger is not None:
            ledger.ask_again()
        graded = self._lane.collect(wait_for, raises=True)
        infos: dict[str, Any] = {}
        starts = [self._draw(i, _NO_OPTIONS) for i in begins]
        if tokens is not None:
            self._append(tokens)
        self._begin(starts, infos)
        if ledger is not None:
            ledger.try_to_ask()  # while programs run
        if in_sync:
            graded = self._lane.collect("all", raises=False)
        told = self._terminated | self._truncated  # in an earlier step
        rewards = self._deliver(graded, infos)
        if ledger is not None:
            ledger.pay_each(rewards, self._writing)
        if self.judging == "async" or len(self._lane):
            infos["judging"] = self._being_judged.copy()
            infos["_judging"] = self._being_judged.copy()
        terminated, truncated = self._terminated & ~told, self._truncated & ~told
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            self._begin([self._draw(i, _NO_OPTIONS) for i in self._ended()], infos)
        return self._rows.observation(copy=self.copy), rewards, terminated, truncated, infos

    def _append(self, tokens: IntArray) -> None:
        """Writes one token to each row that writes, and sends the programs that end."""
        if self._writing.all():
            terminated, truncated = self._rows.append_each(slice(None), tokens)
            rows = None
        else:
            rows = np.flatnonzero(self._writing)
            terminated, truncated = self._rows.append_each(rows, tokens[rows])
        for k in np.flatnonzero(terminated | truncated).tolist():
            self._send(k if rows is None else int(rows[k]), by_agent=bool(terminated[k]))
        if self._ledger is not None:
            self._ledger.wrote_each(tokens, self._writing)

    def _send(self, i: int, *, by_agent: bool) -> None:
        """Sends the program of an episode that ended to the grader."""
        self._writing[i], self._being_judged[i], self._by_agent[i] = False, True, by_agent
        episode = self._episodes[i]
        program = self.task.program(episode, self._rows.generated(i))
        self._lane.send(i, episode, program)
        if self._ledger is not None and program is not None:
            self._ledger.end(i, program)

    def _deliver(self, graded: Sequence[Graded], infos: dict[str, Any]) -> npt.NDArray[np.float64]:
        """Ends the episodes whose grades are in; returns (num_envs,) rewards."""
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        ended, told = [], []
        for one in graded:
            i = one.ticket.index
            if self._ledger is not None and not self._ledger.is_complete(i):
                continue  # the scorer failed; the next step asks again
            self._lane.deliver(one)
            outcome = self._outcome(one)
            rewards[i] = outcome.reward
            if self.render_mode is not None:
                self._outcomes[i] = outcome
            self._being_judged[i] = False
            self._terminated[i], self._truncated[i] = self._by_agent[i], not self._by_agent[i]
            ended.append(i)
            told.append(outcome.info)
            if same_step:
                told[-1] = {"final_obs": self._rows.row(i), "final_info": outcome.info}
        add_infos(infos, ended, told, self.num_envs)
        return rewards

    def _outcome(self, graded: Graded) -> Outcome:
        """What the last step of a graded episode returns."""
        ticket, grade, terms = graded
        i = ticket.index
        generated = self._rows.generated(i)
        if self._ledger is None:
            paid = Paid.at_the_end(terms)
        else:
            paid = self._ledger.settle(i, terms, len(generated), solved=grade.solved)
        return self.task.outcome(ticket.episode, ticket.program, generated, grade, paid)

    def _draw(self, i: int, options: ResetOptions) -> tuple[int, Episode, IntArray]:
        rng = self._rngs[i]
        if rng is None:
            raise ResetNeededError(f"Sub-environment {i} was never reset. Call reset().")
        return i, *self.task.begin(rng, options)

    def _begin(
        self, starts: Sequence[tuple[int, Episode, IntArray]], infos: dict[str, Any]
    ) -> None:
        for i, episode, tokens in starts:
            self._lane.forget(i)
            self._never_reset -= i not in self._episodes
            self._episodes[i] = episode
            self._outcomes.pop(i, None)
            self._rows.begin(i, tokens, budget=self._budget, stops=self.task.stops(episode))
            if self._ledger is not None:
                self._ledger.begin(i, episode.given, episode.start_length)
            self._writing[i] = True
            self._being_judged[i] = self._terminated[i] = self._truncated[i] = False
        told = [episode.info() for _, episode, _ in starts]
        add_infos(infos, [i for i, *_ in starts], told, self.num_envs)

    def _ended(self) -> list[int]:
        return np.flatnonzero(self._terminated | self._truncated).tolist()

    def _check_usable(self) -> None:
        if self.closed:
            raise ClosedError("The vector environment was closed. Make a new one.")
        if os.getpid() != self._pid:
            raise EpisodeError(
                f"This vector environment was made in process {self._pid} and is used in its fork "
                f"{os.getpid()}, where its pending grades never arrive and its random numbers "
                "would repeat. Make a new one in each process."
            )

    def _check_reset(self, called: str) -> None:
        if self._never_reset:
            raise ResetNeededError(f"{called} was called before the first reset(). Call reset().")

    def _checked_index(self, index: object) -> int:
        """The number of a sub-environment.

        Raises:
            ConfigurationError: If there is none of that number.
        """
        try:
            i = -1 if isinstance(index, bool) else operator.index(index)  # type: ignore[arg-type]  # others raise TypeError
        except TypeError:
            i = -1
        if not 0 <= i < self.num_envs:
            raise ConfigurationError(
                f"A sub-environment is named by an int from 0 to {self.num_envs - 1}, got "
                f"{index!r}."
            )
        return i


def _make_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    names = {one.value: one for one in AutoresetMode} | {one.name: one for one in AutoresetMode}
    if mode not in names:
        raise UnknownNameError("autoreset mode", mode, names)
    return names[mode]


def _close_task(task: CodeTask, pid: int) -> None:
    if os.getpid() == pid:  # in a fork, the workers are the parent's
        task.close()
