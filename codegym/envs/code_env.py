"""One program at a time: the Gymnasium environment."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
from typing import Any, NoReturn, Self, Unpack

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.envs.actions import checked_token
from codegym.envs.arguments import TaskArguments, boolean, check_names, documents_task_arguments
from codegym.envs.episode import Episode
from codegym.envs.outcome import Outcome, same_values
from codegym.envs.rendering import RENDER_MODES, checked_render_mode, render_ansi
from codegym.envs.reset_options import ResetOptions
from codegym.envs.rows import TokenRows
from codegym.envs.spaces import observation_space
from codegym.envs.task import CodeTask, TaskViews
from codegym.envs.time_limit import limit_of_wrappers
from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ContextLengthError,
    ResetNeededError,
)
from codegym.problems.problem import Problem
from codegym.rewards.process.ledger import NOTHING, Paid, Scored
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["CodeEnv", "EnvState"]

Observation = dict[str, Any]  # of (L,) arrays

_TOKENS_OF_A_FINGERPRINT = 512


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class EnvState:
    """A snapshot of an environment in the middle of an episode; see :meth:`CodeEnv.save_state`."""

    episode: Episode
    token_ids: npt.NDArray[np.int64]
    running: bool
    outcome: Outcome | None
    rng_state: Any
    tokenizer: str  # a fingerprint
    scored: Scored = NOTHING

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnvState):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]
        return all(same_values(getattr(self, name), getattr(other, name)) for name in names)


@documents_task_arguments
class CodeEnv(TaskViews, gymnasium.Env[Observation, np.int64]):
    """Write a program, one token at a time; unit tests are the reward.

    ## Description
    A problem is shown as text: the prompt. The agent appends tokens until it gives the end token
    or its budget is used up. The program (the header that the prompt shows, the code that the
    start state gave, and what was generated) is then executed in a sandbox on the problem's unit
    tests, and graded outside of it. With ``prompt_format="answer"`` a chat model reasons and
    explains as it likes, and the program is found in its answer (:mod:`codegym.programs.answer`).

    ## Action Space
    ``Discrete(vocab_size)``: one token id of the tokenizer.

    ## Observation Space
    ``Dict`` of two arrays of shape (context_length,):

    - ``input_ids``, int64: prompt, given code, generated tokens, then padding;
    - ``attention_mask``, int8: 1 on tokens, 0 on padding.

    ## Rewards
    0 until the episode ends; then the sum of the named terms of ``reward``. The default is
    StepCoder's: +1 if all tests pass, -0.3 if one fails, -0.6 on a runtime error or a limit, -1 if
    the program does not compile. Where the problem's checker fails on an answer there is no verdict
    (``"judge_error"``) and nothing to be learned: no terms, a loss mask of zeros, and neither the
    start distribution nor the sampler counts the episode.

    A :class:`~codegym.rewards.ProcessReward` adds the scores of the lines that were written. In its
    form ``"outcome"`` it is paid with the outcome. In the others, a step whose token ends a line
    that is scored pays what that changes, and the last step the rest: the outcome, and what a last
    line without newline earns.

    ## Starting State
    ``start`` chooses how much of the canonical solution is given: nothing (``"empty"``), or up to
    a conditional statement that a per-problem curriculum moves towards the beginning (``"cccs"``),
    and others. ``reset(options=...)`` may name:

    - ``problem_id``: the problem;
    - ``stage``: a stage of the start distribution, 0 being the empty prefix;
    - ``prefix``: the given code itself, as text or token ids;
    - ``check_prefix``: False allows a `prefix` that does not begin the canonical solution. In an
      answer it is the beginning of that, and need not.

    ## Episode End
    - terminated: the agent gave an end token (of a chat model also the one that ends its turn), or
      wrote a stop sequence of the prompt format;
    - truncated: ``max_new_tokens`` were generated or the context is full. The program is judged
      all the same. Never both.

    ``gymnasium.make(id, max_episode_steps=n)``, or a ``TimeLimit`` of one's own, is one more
    budget: after n tokens the program is judged and the episode truncated. (Where the n-th token
    is the end token, Gymnasium's wrapper adds its flag to ours.)

    ## Information
    After ``reset``: ``problem_id`` (str), ``source`` (str: the set that the problem is of, such as
    ``"apps_plus"``; ``"apps_plus_sample"`` where the sample stands in), ``difficulty`` (str),
    ``stage`` (int; -1 for a literal prefix), ``num_stages`` (int), ``prompt_length`` (int, tokens),
    ``start_length`` (int, tokens of prompt and given code). ``{}`` after a step that ends nothing.
    After the last step these and:

    - ``program`` (str; empty where an answer holds none), ``verdict`` (str, see
      :class:`~codegym.grading.Verdict`), ``tests_passed`` and ``tests_total`` (int), ``error_type``
      (str or None), ``error_line`` (1-based int; 0: none);
    - ``executed_lines`` (tuple of 1-based int), ``coverage`` (float, share of statements executed);
    - ``loss_mask`` ((context_length,) int8): 1 exactly on generated tokens that were executed (in
      an answer also on those around the program, see :func:`codegym.masks.answer_mask`);
    - ``prompt_mask`` ((context_length,) int8): 1 on prompt and given code;
    - ``reward_terms`` (dict of float), which sum to what all steps of the episode paid: without a
      process reward paid on the way, this step's reward;
    - ``curriculum`` (dict of float): state of the start distribution for this problem;
    - ``token_rewards`` ((context_length,) float32), with a process reward only: what each generated
      token earned, with the same sum. The outcome is that of the last token.

    ## Arguments
    {task arguments}
    - ``render_mode``: None or ``"ansi"``;
    - ``copy``: True returns new arrays with each observation. False returns the environment's own
      arrays, which the next step or reset overwrites: do not change them, and copy what you keep.
      Only the observation of an episode's last step is then a copy. A step costs the same at any
      context length.

    ## References
    - Dou et al., StepCoder: Improve Code Generation with Reinforcement Learning from Compiler
      Feedback, ACL 2024, arXiv 2402.01391.
    - Dai et al., Process Supervision-Guided Policy Optimization for Code Generation, arXiv
      2410.17621.

    ## Version History
    - v0: first version.

    Raises:
        ConfigurationError: If an argument is unknown or has no meaning.
        DataError: If the problems cannot be loaded.

    Example:
        >>> import gymnasium
        >>> import codegym
        >>> env = gymnasium.make("CodeGen-Mini-v0", tokenizer="byte", max_new_tokens=400,
        ...     context_length=2000)
        >>> obs, info = env.reset(seed=0)
        >>> problem = env.unwrapped.problems.by_id(info["problem_id"])
        >>> for token in problem.canonical_solution[len(problem.starter_code):].encode():
        ...     obs, reward, terminated, truncated, info = env.step(token)
        >>> obs, reward, terminated, truncated, info = env.step(env.unwrapped.tokenizer.end_id)
        >>> reward, terminated, truncated, info["verdict"]
        (1.0, True, False, 'accepted')
        >>> env.close()
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 4}  # noqa: RUF012  # as declared by Gymnasium

    def __init__(
        self,
        *,
        render_mode: str | None = None,
        copy: bool = True,
        **task: Unpack[TaskArguments],
    ) -> None:
        check_names(task, CodeEnv)
        self.render_mode = checked_render_mode(render_mode)
        self.copy = boolean("copy", copy)
        self.task = CodeTask(**task)
        self.action_space = self.task.action_space
        self.observation_space = observation_space(
            self.tokenizer.vocab_size, self.task.context_length
        )
        self._vocab_size = self.tokenizer.vocab_size
        self._row = TokenRows(1, self.task.context_length, self.tokenizer)
        self._ledger = self.task.ledger(self._row.tokens, names_rows=False)
        self._max_steps: int | None = None  # of a TimeLimit that this environment is in
        self._episode: Episode | None = None
        self._outcome: Outcome | None = None
        self._running = False
        self._closed = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draws a problem and a start state.

        Raises:
            UnknownNameError: If the options name something unknown.
            StartStateError: If they ask for a start state that does not exist.
            ContextLengthError: If prompt and given code fill the context.
        """
        self._check_open()
        super().reset(seed=seed)
        episode, token_ids = self.task.begin(self.np_random, ResetOptions.parse(options))
        self._max_steps = limit_of_wrappers(self)
        self._begin(episode, token_ids)
        return self._observation(self.copy), episode.info()

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Appends a token; at the end of the episode, runs and scores the program.

        Raises:
            InvalidActionError: If the action is not a token id.
            ResetNeededError: Before the first reset and after the end of an episode, also one
                whose program could not be run.
            ExecutionError: If the program could not be run. Never the program's fault.
            RewardError: If the reward is not a reward, or a line scorer failed. Before the end, the
                token is written and the episode goes on: what has no score is asked for with the
                next line, and paid then.
            KeyboardInterrupt: If interrupted while the program is judged. The step has then not
                happened: the same action may be given again.
        """
        if not self._running:
            self._refuse_step()
        token = checked_token(action, self._vocab_size)
        terminated, truncated = self._row.append(0, token)
        if terminated or truncated:
            outcome = self._judge()
            obs = self._observation(True)
            return obs, outcome.reward, terminated, truncated, dict(outcome.info)
        reward = 0.0 if self._ledger is None else self._ledger.pay_after(token)
        return self._observation(self.copy), reward, False, False, {}

    def save_state(self) -> EnvState:
        """A snapshot of the episode and of the random generator, to come back to any time.

        Start distribution and problem sampler are not part of it: they belong to the agent's
        progress, and have a ``state_dict`` of their own.

        Raises:
            ResetNeededError: Before the first reset.
        """
        if self._episode is None:
            raise ResetNeededError("There is no episode to save: call reset() first.")
        return EnvState(
            self._episode,
            self._row.tokens(0).copy(),
            self._running,
            self._outcome,
            copy.deepcopy(self.np_random.bit_generator.state),
            self._fingerprint,
            NOTHING if self._ledger is None else self._ledger.scored(0),
        )

    def restore_state(self, state: EnvState) -> tuple[Observation, dict[str, Any]]:
        """Goes back to a snapshot, also one of another environment with the same arguments.

        Returns:
            The observation at the snapshot, and what ``reset`` told of the episode.

        Raises:
            ConfigurationError: If it is not a snapshot, or one of an environment with another
                tokenizer or other problems; or if this environment is in a ``TimeLimit``, whose
                count of steps cannot be set back.
            ContextLengthError: If the snapshot's tokens do not fit this environment.
        """
        self._check_open()
        if self._max_steps is not None:
            raise ConfigurationError(
                "The environment is in a TimeLimit (max_episode_steps), which counts steps by "
                "itself and cannot be set back to a snapshot. Make it with max_new_tokens=... in "
                "place of max_episode_steps: the limit is the same."
            )
        if not isinstance(state, EnvState):
            raise ConfigurationError(
                f"restore_state() takes what save_state() returned, an EnvState; got {state!r:.80}."
            )
        if state.tokenizer != self._fingerprint:
            raise ConfigurationError(
                "The snapshot is of an environment with another tokenizer: its tokens mean "
                "something else here. Restore it in an environment made with the same arguments."
            )
        self._check_problem(state.episode.problem)
        if len(state.token_ids) > self.task.context_length:
            raise ContextLengthError(
                f"The snapshot holds {len(state.token_ids)} tokens, but context_length is "
                f"{self.task.context_length}. Restore it in an environment made with the same "
                "arguments."
            )
        episode = state.episode
        self._begin(episode, state.token_ids, state.scored)
        self._running, self._outcome = state.running, state.outcome
        self.np_random.bit_generator.state = copy.deepcopy(state.rng_state)
        return self._observation(self.copy), episode.info()

    def render(self) -> str | None:
        """The program so far: given code, generated code, executed lines and the verdict."""
        if self.render_mode is None or self._episode is None:
            return None
        program = self.task.program(self._episode, self._row.generated(0))
        return render_ansi(self._episode, program, self._outcome)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two environments cannot share the arrays of an episode

    def close(self) -> None:
        """Ends the workers that were started for this environment.

        Copies made by ``copy.deepcopy`` share them: those of the last one that is closed end.
        """
        if not self._closed:
            self._closed, self._running = True, False
            self.task.close()

    def _begin(
        self, episode: Episode, tokens: npt.NDArray[np.int64], scored: Scored = NOTHING
    ) -> None:
        """Begins an episode, or goes on with one that was saved."""
        self._episode, self._outcome, self._running = episode, None, True
        budget = self.task.max_new_tokens
        self._row.begin(
            0,
            tokens,
            budget=budget if self._max_steps is None else min(budget, self._max_steps),
            start_length=episode.start_length,
            stops=self.task.stops(episode),
        )
        if self._ledger is not None:
            self._ledger.begin(0, episode.given, episode.start_length, scored)

    def _judge(self) -> Outcome:
        """Executes, grades and scores the program of the episode.

        The episode ends even if that fails; if it is interrupted, the last token is taken back.
        """
        self._running = False
        episode = self._episode
        if episode is None:
            self._refuse_step()
        scored = NOTHING if self._ledger is None else self._ledger.scored(0)
        try:
            self._outcome = outcome = self._outcome_of(episode)
        except KeyboardInterrupt:
            self._begin(episode, self._row.tokens(0)[:-1].copy(), scored)
            raise
        return outcome

    def _outcome_of(self, episode: Episode) -> Outcome:
        task, ledger, generated = self.task, self._ledger, self._row.generated(0)
        program = task.program(episode, generated)
        pending = task.submit(episode, program)
        if ledger is not None and program is not None:  # while the program runs
            ledger.end(0, program)
            ledger.ask()
        grade = pending.result()
        terms = task.terms(grade)
        task.count(episode, grade)
        if ledger is None:
            paid = Paid.at_the_end(terms)
        else:
            paid = ledger.settle(0, terms, len(generated), solved=grade.solved)
        return task.outcome(episode, program, generated, grade, paid)

    def _observation(self, copy: bool) -> Observation:
        ids, mask = self._row.first_row
        if copy:
            return {"input_ids": ids.copy(), "attention_mask": mask.copy()}
        return {"input_ids": ids, "attention_mask": mask}

    @functools.cached_property
    def _fingerprint(self) -> str:
        return _fingerprint_of(self.tokenizer)

    def _check_problem(self, problem: Problem) -> None:
        """Raises a ConfigurationError if a snapshot's problem is none of this environment's."""
        if self._episode is not None and self._episode.problem is problem:
            return  # as in a search, which restores again and again
        if problem.id not in self.problems:
            raise ConfigurationError(
                f"The snapshot is of problem {problem.id!r}, which is not in this environment's "
                "problems. Restore it in an environment made with the same arguments."
            )
        mine = self.problems.by_id(problem.id)
        if mine is not problem and mine != problem:
            raise ConfigurationError(
                f"The snapshot is of another problem {problem.id!r}: text, solution or tests "
                "differ. Restore it in an environment made with the same arguments."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("The environment was closed. Make a new one.")

    def _refuse_step(self) -> NoReturn:
        self._check_open()
        when = "before the first reset()" if self._episode is None else "after the episode ended"
        raise ResetNeededError(f"step() was called {when}. Call reset() to begin an episode.")


def _fingerprint_of(tokenizer: Tokenizer) -> str:
    """Tells tokenizers apart, at a cost that does not grow with the vocabulary."""
    size = tokenizer.vocab_size
    some = range(0, size, max(1, size // _TOKENS_OF_A_FINGERPRINT))
    spelled = [tokenizer.token_bytes(token) for token in some]
    content = repr((size, tokenizer.pad_id, sorted(end_ids(tokenizer)), spelled))
    return hashlib.sha256(content.encode()).hexdigest()
