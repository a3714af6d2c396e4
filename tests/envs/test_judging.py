"""Judging beside generation: no grade is lost, doubled or swapped, and nothing hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from codegym.envs import CodeVectorEnv
from codegym.errors import RewardError, WorkerError
from codegym.grading import Grader
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks
from tests.waiting import let_it_get_stuck

from .executors import Late, MadeUp
from .player import Player
from .reference import Writer, assert_same, single_plays

N, EPISODES, BUDGET = 6, 12, 9
LETTERS = "abcdefgh \n"


@pytest.fixture
def late(problems: ProblemSet) -> Iterator[Late]:
    executor = Late(MadeUp(problems))
    yield executor
    executor.close()


def arguments_of(problems: ProblemSet, **changes: Any) -> dict[str, Any]:
    return {
        "problems": problems, "tokenizer": "byte", "context_length": 160, "max_new_tokens": 6,
        "start": "uniform", "reward": "rltf", **changes,
    }  # fmt: skip


@pytest.mark.parametrize("judging", ["sync", "async"])
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("lane", ["tokens", "sequences", "both"])
@pytest.mark.parametrize("fails", [(), ("g",)], ids=["", "faults"])
def test_every_grade_comes_once_and_where_it_belongs(
    problems: ProblemSet, judging: Any, mode: AutoresetMode, lane: str, fails: tuple[str, ...]
) -> None:
    seed = len(lane) + 100 * len(fails)
    arguments = arguments_of(problems)
    executor = Late(MadeUp(problems), seed=seed, fails=fails)
    copy = mode is AutoresetMode.NEXT_STEP
    with Grader(executor, cache_size=0) as grader:
        envs = CodeVectorEnv(
            N, judging=judging, autoreset_mode=mode, copy=copy, grader=grader, **arguments
        )
        writer = Writer(envs.tokenizer, LETTERS)
        player = Player(envs, writer, lane=lane, budget=BUDGET, seed=seed)
        plays = player.play(EPISODES)
        finished = sum(map(len, player.plays))
        assert len(envs._lane) == player.judging.sum()
        assert executor.submitted <= finished + len(envs._lane)  # the same text is run once
        assert player.failures == sum(play is None for each in player.plays for play in each)
        assert (player.failures > 3) == bool(fails)
        single = Late(MadeUp(problems), longest=0.0, fails=fails)
        with Grader(single) as quick:
            for i in range(N):
                expected = single_plays(
                    writer,
                    i,
                    seed=seed,
                    episodes=EPISODES,
                    budget=BUDGET,
                    grader=quick,
                    **arguments,
                )
                assert_same(plays[i], expected, f"sub-environment {i}")
        envs.close()
    for one in (executor, single):
        one.close()


def end_all(envs: CodeVectorEnv) -> Any:
    return envs.step(np.full(envs.num_envs, envs.tokenizer.end_id))


def end_until_it_raises(envs: CodeVectorEnv) -> None:
    for _ in range(9):
        end_all(envs)


def in_thread(function: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    """Runs a function elsewhere; the list gets its result or what it raised."""
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(function(*arguments))
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, results


def test_a_step_waits_only_when_all_are_being_judged(problems: ProblemSet, late: Late) -> None:
    late.hold(True)
    with Grader(late) as grader:
        envs = CodeVectorEnv(3, judging="async", grader=grader, **arguments_of(problems))
        envs.reset(seed=0)
        ends = np.array([envs.tokenizer.end_id, 97, 97])
        *_, infos = envs.step(ends)
        assert infos["judging"].tolist() == [True, False, False]
        before = infos["judging"].copy()
        for _ in range(4):  # a step that waited would never come back
            obs, rewards, terminated, truncated, infos = envs.step(np.full(3, 98))
        assert not (terminated | truncated).any()
        assert not rewards.any()
        assert (obs["input_ids"][0] == 98).sum() == (obs["input_ids"][1] == 98).sum() - 4
        assert before.tolist() == [True, False, False]
        end_all(envs)
        thread, results = in_thread(envs.step, np.full(3, 98))
        let_it_get_stuck(thread)
        assert thread.is_alive(), "all are being judged: there was nothing to do but wait"
        late.hold(False)
        thread.join()
        assert (results[0][2] | results[0][3]).any()
        envs.close()


def test_autoreset_counts_as_something_to_do(problems: ProblemSet, late: Late) -> None:
    late.hold(True)
    with Grader(late) as grader:
        envs = CodeVectorEnv(2, judging="async", grader=grader, **arguments_of(problems))
        envs.reset(seed=0)
        for i in range(2):
            envs.submit(i, [97, 97 + i, envs.tokenizer.end_id])
        assert envs.collect(wait=False)[4]["judging"].all()
        late.answer(0)
        assert envs.step(np.array([-1, -1]))[2].tolist() == [True, False]
        # The first begins: no reason to wait for the other, whose grade would never come.
        *_, infos = envs.step(np.array([-1, -1]))
        assert infos["_problem_id"].tolist() == [True, False]
        assert infos["judging"].tolist() == [False, True]
        envs.close()


def test_a_batch_that_ended_does_not_wait(problems: ProblemSet, late: Late) -> None:
    late.hold(True)
    with Grader(late) as grader:
        envs = CodeVectorEnv(
            2, judging="async", autoreset_mode="DISABLED", grader=grader, **arguments_of(problems)
        )
        envs.reset(seed=0)
        _, _, terminated, _, infos = end_all(envs)
        assert infos["judging"].all()
        late.hold(False)
        ended = terminated
        while not ended.all():
            _, _, terminated, _, infos = envs.step(np.array([-1, -1]))
            ended |= terminated
        assert not infos["judging"].any()
        assert not envs.step(np.array([-1, -1]))[2].any()
        assert not envs.collect()[2].any()
        envs.close()


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_a_failure_is_raised_until_its_sub_environment_is_reset(
    problems: ProblemSet, judging: Any
) -> None:
    executor = Late(MadeUp(problems), fails=("zz",))
    with Grader(executor) as grader:
        envs = CodeVectorEnv(
            3, judging=judging, autoreset_mode="DISABLED", grader=grader, **arguments_of(problems)
        )
        envs.reset(seed=0)
        for letter in b"zz":
            envs.step(np.array([97, letter, 97]))
        for attempt in range(3):
            with pytest.raises(WorkerError, match="on fire") as caught:
                end_until_it_raises(envs)
            assert len(caught.value.__notes__) == 1, attempt
            assert "sub-environment 1" in caught.value.__notes__[0]
        envs.reset(options={"reset_mask": np.array([False, True, False])})
        ended = ~(envs._writing | envs._being_judged)  # those that were told before
        while not ended.all():
            _, _, terminated, truncated, infos = end_all(envs)
            assert "_verdict" not in infos or (infos["_verdict"] & ended).sum() == 0
            ended |= terminated | truncated
        assert executor.submitted == 4
        envs.close()
    executor.close()


def test_a_reward_that_raises_loses_no_grade(problems: ProblemSet) -> None:
    broken = [True]

    def reward(grade: Any) -> float:
        return float("nan") if broken[0] else 0.5

    curriculum = CurriculumOfSubtasks(threshold=0.0, alpha=1.0)
    arguments = arguments_of(problems, reward=reward, start=curriculum)
    with Grader(MadeUp(problems)) as grader:
        envs = CodeVectorEnv(4, autoreset_mode="DISABLED", grader=grader, **arguments)
        envs.reset(seed=0)
        assert end_all(envs)[4]["judging"].all()
        for _ in range(2):
            with pytest.raises(RewardError, match="finite"):
                end_all(envs)
        assert curriculum.state_dict()["success"] == {}
        broken[0] = False
        _, rewards, terminated, _, infos = end_all(envs)
        assert terminated.all()
        assert rewards.tolist() == [0.5] * 4
        assert infos["_verdict"].all()
        assert curriculum.state_dict()["success"] != {}
        envs.close()


@pytest.mark.parametrize("first", [0, 1])
def test_a_reset_abandons_the_grade(problems: ProblemSet, late: Late, first: int) -> None:
    late.hold(True)
    starts = Recorder()
    arguments = arguments_of(problems, start=starts)
    with Grader(late, cache_size=0) as grader:
        envs = CodeVectorEnv(1, judging="async", grader=grader, **arguments)
        envs.reset(seed=0)
        envs.submit(0, [*b"old", envs.tokenizer.end_id])
        envs.reset(seed=0)
        assert not envs.step(np.array([97]))[4]["judging"].any()
        envs.submit(0, [*b"new", envs.tokenizer.end_id])
        late.answer(first)
        assert envs.collect(wait=False)[2].tolist() == [first == 1]
        late.answer(1 - first)
        infos = envs.collect(wait=False)[4]
        if first == 0:
            assert infos["program"][0].endswith("anew")
        assert len(starts.told) == 1
        envs.close()


class Recorder(CurriculumOfSubtasks):
    """A curriculum that remembers what it was told, in order."""

    def __init__(self) -> None:
        super().__init__(threshold=0.3, alpha=0.5)
        self.told: list[tuple[str, int, bool]] = []

    def update(self, reference: Any, start: Any, *, solved: bool) -> None:
        self.told.append((reference.problem_id, start.stage, solved))
        super().update(reference, start, solved=solved)


def test_outcomes_are_counted_in_the_order_of_the_ends(problems: ProblemSet, late: Late) -> None:
    late.hold(True)
    starts = Recorder()
    with Grader(late) as grader:
        envs = CodeVectorEnv(
            4,
            judging="async",
            autoreset_mode="DISABLED",
            grader=grader,
            **arguments_of(problems, start=starts),
        )
        envs.reset(seed=0)
        for i in (2, 0, 3, 1):
            envs.submit(i, [97 + i, envs.tokenizer.end_id])
        told, ends = [], np.zeros(4, dtype=bool)
        for number, ended in ((1, 0), (3, 1), (0, 2), (2, 3)):
            late.answer(number)
            *_, terminated, _, infos = envs.collect()
            assert np.flatnonzero(infos["_verdict"]).tolist() == [ended]
            told.append(len(starts.told))
            ends |= terminated
        assert ends.all()
        assert told == [0, 0, 2, 4]
        ids = infos["problem_id"]
        envs.close()
    assert ids[3] == starts.told[2][0]


def test_an_outcome_does_not_wait_for_one_that_was_abandoned(
    problems: ProblemSet, late: Late
) -> None:
    late.hold(True)
    starts = Recorder()
    with Grader(late) as grader:
        envs = CodeVectorEnv(
            2,
            judging="async",
            autoreset_mode="DISABLED",
            grader=grader,
            **arguments_of(problems, start=starts),
        )
        envs.reset(seed=0)
        for i in range(2):
            envs.submit(i, [97 + i, envs.tokenizer.end_id])
        late.answer(1)
        assert envs.collect()[2].tolist() == [False, True]
        assert starts.told == []
        envs.reset(options={"reset_mask": np.array([True, False])})
        assert len(starts.told) == 1
        envs.close()


def test_waves_move_a_curriculum_alike_in_both_ways_of_judging(problems: ProblemSet) -> None:
    told = {}
    for judging in ("sync", "async"):
        starts = Recorder()
        executor = Late(MadeUp(problems), seed=3, longest=0.03)
        with Grader(executor) as grader:
            envs = CodeVectorEnv(
                8,
                judging=judging,
                autoreset_mode="DISABLED",
                grader=grader,
                **arguments_of(problems, start=starts),
            )
            writer = Writer(envs.tokenizer, LETTERS, end=0.3)
            for wave in range(10):
                envs.reset(seed=wave)
                ended = np.zeros(8, dtype=bool)
                for t in range(200):
                    tokens = [writer.tokens(i, wave, 400)[t] for i in range(8)]
                    *_, terminated, truncated, _ = envs.step(np.array(tokens))
                    ended |= terminated | truncated
                    if ended.all():
                        break
            envs.close()
        executor.close()
        told[judging] = starts.told
    assert len(told["sync"]) == 80
    assert told["sync"] == told["async"]
    assert len({stage for _, stage, _ in told["sync"]}) > 1
