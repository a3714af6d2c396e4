"""verl: rows of its data, a reward function, and an agent loop whose response mask is FGO's.

Written against verl 0.9. The reward function needs a line of its configuration and no copy of a
file::

    reward.custom_reward_function.path=pkg://codegym.integrations.verl

verl has no value for "this could not be graded". A failure of codegym's own is therefore raised,
by the function and by the loop, and ends the run: a zero would be learned from, and even with a
response mask of zeros it would move the mean of its group, and with it what its neighbours learn.

verl is imported when an agent loop is made, not before.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from codegym.errors import ConfigurationError, JudgeError, ProblemError
from codegym.grading.verdict import Verdict
from codegym.integrations.completions import decode_answer, mask_for
from codegym.integrations.problem_json import is_problem_json, problem_from_json, problem_to_json
from codegym.integrations.questions import chat
from codegym.integrations.scores import RewardSpec, Score, score_completion, shared_grader
from codegym.problems.problem import Problem
from codegym.problems.reading.verl_rows import read_verl_tests, starter_of
from codegym.problems.rows import problem_of, row_of
from codegym.problems.source import Row
from codegym.problems.sources.verl import VERL
from codegym.rewards.registry import make_reward

__all__ = ["FGOAgentLoop", "compute_score", "problem_of_row", "rows"]

_REMEMBERED_PROBLEMS = 1_024


def rows(
    problems: Iterable[Problem],
    *,
    split: str = "train",
    system: str = "",
    agent_name: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of verl's data for problems, such as a :class:`~codegym.ProblemSet`.

    A row holds its whole problem in ``reward_model.ground_truth``, the tests included, which the
    reward needs wherever it runs; the prompt holds nothing of them.

    Args:
        problems: The problems, in order.
        split: What ``extra_info`` says of all of them.
        system: A system message, or empty.
        agent_name: The agent loop that answers them, as ``agent_loop_config_path`` names it; None:
            the one that ``rollout.agent.default_agent_loop`` names.

    Returns:
        One dictionary a problem with ``data_source``, ``prompt``, ``ability``, ``reward_model`` and
        ``extra_info`` (``split``, ``index``, ``problem_id``, ``source``, ``difficulty``).

    Raises:
        ConfigurationError: If one is no problem, or holds something that is not plain data.
    """
    made = []
    for index, problem in enumerate(problems):
        ground_truth = problem_to_json(problem)
        row: dict[str, Any] = {
            "data_source": f"codegym/{problem.source}",
            "prompt": chat(problem, system),
            "ability": "code",
            "reward_model": {"style": "rule", "ground_truth": ground_truth},
            "extra_info": {
                "split": split,
                "index": index,
                "problem_id": problem.id,
                "source": problem.source,
                "difficulty": problem.difficulty,
            },
        }
        if agent_name is not None:
            row["agent_name"] = agent_name
        made.append(row)
    return made


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str | Mapping[str, Any],
    extra_info: Mapping[str, Any] | None = None,
    *,
    reward: RewardSpec = "binary",
    limits: Mapping[str, float] | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
) -> dict[str, Any]:
    """The reward function of a run: grades the program in an answer.

    Args:
        data_source: Where the row comes from; named in errors.
        solution_str: The answer.
        ground_truth: The tests: what :func:`rows` wrote, or verl's own form of code rows, JSON with
            ``inputs``, ``outputs`` and perhaps ``fn_name``, or ``assert_case`` with ``fn_name``.
        extra_info: More of the row.
        reward: How a grade becomes a score; ``reward_kwargs.reward`` in verl's configuration.
        limits: What one test may use, by the names of :class:`~codegym.ExecutionLimits`;
            ``reward_kwargs.limits``.
        reward_router_address: What verl hands in where it has a reward model; not used.
        reward_model_tokenizer: As before; not used.

    Returns:
        ``score``, and what verl logs beside it: ``acc`` (1.0 if all tests passed, else 0.0),
        ``pass_ratio`` in [0, 1] and ``verdict``.

    Raises:
        ProblemError: If the row holds no tests that can be used, with the reason.
        ConfigurationError: If an argument has no meaning.
        ExecutionError: If codegym could not run the program. The run ends: verl has no value for
            an answer that could not be graded.
        JudgeError: If the problem's checker failed on the answer; likewise.
    """
    del reward_router_address, reward_model_tokenizer  # belong to verl's call
    problem = problem_of_row(data_source, ground_truth, extra_info)
    score = await score_completion(
        solution_str, problem, reward=reward, grader=shared_grader(limits)
    )
    return _told(score)


class FGOAgentLoop:
    """An agent loop of verl that grades each answer and masks what its program did not execute.

    It answers as verl's ``single_turn_agent`` does. The response mask, by which verl multiplies
    the policy loss, is then that of FGO (:func:`codegym.integrations.mask_for`), and the answer
    comes with its score, so that verl does not ask the reward function again.

    verl makes it from a file that ``rollout.agent.agent_loop_config_path`` names::

        - name: codegym
          _target_: codegym.integrations.verl.FGOAgentLoop
          reward: binary

    Args:
        tokenizer: The policy's tokenizer; as all that follows `limits`, handed in by verl.
        reward: How a grade becomes a score.
        outside: What prose, reasoning and fences get, 0 or 1.
        limits: What one test may use, by the names of :class:`~codegym.ExecutionLimits`.
        loop_arguments: What verl's own loop takes.

    Raises:
        ConfigurationError: If verl is not installed, or an argument has no meaning.
    """

    def __init__(
        self,
        *,
        tokenizer: Any,
        reward: RewardSpec = "binary",
        outside: int = 1,
        limits: Mapping[str, float] | None = None,
        **loop_arguments: Any,
    ) -> None:
        if isinstance(outside, bool) or outside not in (0, 1):
            raise ConfigurationError(f"outside must be 0 or 1, got {outside!r:.80}.")
        make_reward(reward)
        self._grader = shared_grader(limits)
        self._reward, self._outside, self._tokenizer = reward, outside, tokenizer
        self._loop = _single_turn_loop()(tokenizer=tokenizer, **loop_arguments)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> Any:
        """Answers the prompt of a row.

        Args:
            sampling_params: How the server samples.
            row: The fields of the row.

        Returns:
            verl's ``AgentLoopOutput``, with the mask, the score, and in ``extra_fields`` what
            :func:`compute_score` tells beside it. Where the problem's checker failed on the answer,
            a mask of zeros and a score of 0, which stays in the answer's group.

        Raises:
            ProblemError: If the row holds no tests that can be used.
            ExecutionError: If codegym could not run the program; this ends the run.
            TokenizationError: If the tokens do not spell the text that was graded.
        """
        problem = problem_of_row(
            row.get("data_source", ""),
            (row.get("reward_model") or {}).get("ground_truth"),
            row.get("extra_info"),
        )
        output = await self._loop.run(sampling_params, **row)
        # The score is that of compute_score(), but for models whose tags of reasoning are special
        # tokens: verl's reward managers skip those before anybody sees the answer.
        answer = decode_answer(output.response_ids, self._tokenizer)
        try:
            score = await score_completion(
                answer, problem, reward=self._reward, grader=self._grader
            )
        except JudgeError:  # brought about by the answer, so it must not end the run
            output.response_mask = [0] * len(output.response_mask)
            output.reward_score = 0.0
            output.extra_fields["reward_extra_info"] = _UNJUDGED
            return output
        mask = mask_for(output.response_ids, self._tokenizer, score.grade, outside=self._outside)
        output.response_mask = [
            ours * theirs for ours, theirs in zip(mask, output.response_mask, strict=True)
        ]
        output.reward_score = score.reward
        output.extra_fields["reward_extra_info"] = _told(score)
        return output


def problem_of_row(
    data_source: str, ground_truth: object, extra_info: Mapping[str, Any] | None = None
) -> Problem:
    """The problem of a row of verl's data. The last ones are remembered.

    Args:
        data_source: Where the row comes from.
        ground_truth: As :func:`compute_score` takes it.
        extra_info: More of the row; ``problem_id`` or ``index`` become part of the problem's id,
            and ``starter_code`` tells the types of arguments.

    Raises:
        ProblemError: If it holds no tests that can be used, with the reason.
    """
    known = extra_info or {}
    name = known.get("problem_id", known.get("index"))
    where = str(data_source) if name is None else f"{data_source}/{name}"
    starter = starter_of(known)
    if not isinstance(ground_truth, str):
        return _read(where, _plain(ground_truth), starter)
    return _remembered(_Text(ground_truth), where, starter)


class _Text:
    """A text as the key of a cache that does not keep it: tests can be of many megabytes."""

    def __init__(self, text: str) -> None:
        self.digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self.text: str | None = text

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and other.digest == self.digest


@functools.lru_cache(maxsize=_REMEMBERED_PROBLEMS)
def _remembered(text: _Text, where: str, starter: str) -> Problem:
    problem = _read(where, text.text, starter)
    text.text = None
    return problem


def _read(where: str, ground_truth: object, starter: str) -> Problem:
    try:
        if is_problem_json(ground_truth):
            return problem_from_json(str(ground_truth))
        fields = {"id": where, "ground_truth": ground_truth, "starter": starter}
        return problem_of(_ROWS, row_of(fields, 0))
    except ProblemError as error:
        raise ProblemError(
            f"The row {where!r} cannot be graded: {error}. Expected in reward_model.ground_truth "
            "what codegym.integrations.verl.rows() writes, or JSON with 'inputs', 'outputs' and "
            "perhaps 'fn_name'."
        ) from error


def _plain(value: Any) -> Any:
    """A value without the arrays that pandas makes of a parquet file's lists."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _parse(row: Row) -> Problem:
    """The problem of verl's own code rows, of which a reward function sees the tests only."""
    starter = str(row.first("starter"))
    judged = read_verl_tests(row.first("ground_truth"), starter=starter)
    return Problem(
        id=row.text("id"),
        description="",
        canonical_solution="",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        prelude=judged.prelude,
        comparison=judged.comparison,
    )


_ROWS = dataclasses.replace(VERL, parse=_parse, id_fields=("id",))


_UNJUDGED = {"score": 0.0, "acc": 0.0, "pass_ratio": 0.0, "verdict": Verdict.JUDGE_ERROR.value}


def _told(score: Score) -> dict[str, Any]:
    """What verl is told of a score. Always the same keys: it stacks them over the batch."""
    return {
        "score": score.reward,
        "acc": float(score.grade.solved),
        "pass_ratio": score.grade.pass_ratio,
        "verdict": score.grade.verdict.value,
    }


def _single_turn_loop() -> Any:
    try:
        module = importlib.import_module("verl.experimental.agent_loop.single_turn_agent_loop")
    except ImportError as error:
        raise ConfigurationError(
            f"FGOAgentLoop needs the package verl (0.9): pip install verl ({error})"
        ) from error
    return module.SingleTurnAgentLoop
