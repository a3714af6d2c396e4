"""Process rewards: the same returns by tokens, by continuations, and in single environments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from codegym.envs import CodeVectorEnv, CompletionFormat
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .executors import Late, MadeUp
from .player import Player
from .reference import Writer, assert_same, single_plays
from .scorers import FORMS, process_reward

N, EPISODES, BUDGET = 4, 6, 40
LETTERS = "ab=1 \n\n\n#x"


@pytest.mark.parametrize("mode", FORMS)
@pytest.mark.parametrize("judging", ["sync", "async"])
@pytest.mark.parametrize("lane", ["tokens", "sequences", "both"])
def test_lanes_agree(problems: ProblemSet, mode: str, judging: Any, lane: str) -> None:
    seed = len(lane) + len(mode)
    autoreset = list(AutoresetMode)[(seed + (judging == "sync")) % 3]
    arguments: dict[str, Any] = {
        "problems": problems, "tokenizer": "byte", "context_length": 130, "max_new_tokens": 30,
        "prompt_format": CompletionFormat(("\n\nx", "\n#\n", "ab")), "start": "lines",
        "reward": process_reward(mode),
    }  # fmt: skip
    executor = Late(MadeUp(problems), seed=seed)
    with Grader(executor) as grader, Grader(MadeUp(problems)) as quick:
        envs = CodeVectorEnv(
            N, judging=judging, autoreset_mode=autoreset, copy=seed % 2 == 0, grader=grader,
            **arguments,
        )  # fmt: skip
        writer = Writer(envs.tokenizer, LETTERS, end=0.04)
        player = Player(envs, writer, lane=lane, budget=BUDGET, seed=seed, dense=mode != "outcome")
        plays = player.play(EPISODES)
        for i in range(N):
            expected = single_plays(
                writer, i, seed=seed, episodes=EPISODES, budget=BUDGET, grader=quick, **arguments
            )
            assert_same(plays[i], expected, f"sub-environment {i}")
        paid = 0
        for play in (play for each in plays for play in each if play):
            terms, tokens = play.info["reward_terms"], play.info["token_rewards"]
            assert sum(terms.values()) == pytest.approx(play.reward)
            assert tokens.sum(dtype=np.float64) == pytest.approx(play.reward, abs=1e-6)
            paid += terms["process"] != 0
        assert paid > 3 or mode == "potential"
        envs.close()
    executor.close()
