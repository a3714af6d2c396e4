"""Process rewards by hand, and what holds for any scores."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codegym.errors import CodegymError, ConfigurationError, RewardError, UnknownNameError
from codegym.grading import Grade, Verdict
from codegym.programs import NEUTRAL
from codegym.rewards import BinaryReward, ProcessReward, StepScorer, WeightedReward, make_reward
from codegym.tokenization import ByteTokenizer, MiniTokenizer

SCORES = st.lists(st.floats(-1, 1), max_size=8)
# The token that ends each of three lines, of ten tokens.
ENDS, COUNT = [2, 5, 8], 10


def zeros(sequences: Any) -> Any:
    return np.zeros(len(sequences))


def process(mode: Any = "outcome", **arguments: Any) -> ProcessReward:
    return ProcessReward(zeros, mode=mode, **arguments)


def paid(reward: ProcessReward, scores: list[float], **arguments: Any) -> list[float]:
    return reward.token_rewards(ENDS, scores, COUNT, **arguments).tolist()


@pytest.mark.parametrize(
    ("solved", "expected"),
    [
        # .25 * R_m / 3 and .025 * R_m / 3
        (False, [0.08, -0.04, 0.02]),
        (True, [0.008, -0.004, 0.002]),
    ],
)
def test_the_formula_of_the_paper(solved: bool, expected: list[float]) -> None:
    rewards = paid(process(), [0.96, -0.48, 0.24], solved=solved)
    assert [rewards[end] for end in ENDS] == pytest.approx(expected, abs=1e-12)
    assert [reward for t, reward in enumerate(rewards) if t not in ENDS] == [0.0] * 7
    assert paid(process(), [0.96, -0.48, 0.24], solved=None) == [0.0] * COUNT


def test_online_pays_what_the_mean_grows_by() -> None:
    rewards = paid(process("online", weight=0.4), [1.0, -0.5, 0.4], solved=True)
    # Means 1, .25, .3.
    assert [rewards[end] for end in ENDS] == pytest.approx([0.4, -0.3, 0.02])
    assert sum(rewards) == pytest.approx(0.4 * 0.3)


def test_difference_pays_what_the_score_grows_by() -> None:
    rewards = paid(process("difference", weight=0.4), [1.0, -0.5, 0.4], solved=False)
    assert [rewards[end] for end in ENDS] == pytest.approx([0.4, -0.6, 0.36])
    assert sum(rewards) == pytest.approx(0.4 * 0.4)


def test_potential_pays_back_with_the_last_token() -> None:
    rewards = paid(process("potential", weight=2.0), [1.0, -0.5, 0.4], solved=False)
    assert rewards == pytest.approx([0, 0, 2, 0, 0, -3, 0, 0, 1.8, -0.8])


def test_a_discounted_potential_pays_for_each_token() -> None:
    reward = process("potential", weight=1.0, gamma=0.5)
    running = reward.token_rewards([1, 2], [0.8, 0.4], 5)
    # Potentials 0 0 .8 .4 .4 .4; each token .5 * next - this.
    assert running.tolist() == pytest.approx([0, 0.4, -0.6, -0.2, -0.2])
    ended = reward.token_rewards([1, 2], [0.8, 0.4], 5, solved=True)
    assert ended.tolist() == pytest.approx([0, 0.4, -0.6, -0.2, -0.4])


@pytest.mark.parametrize("mode", ["outcome", "online", "difference", "potential"])
@pytest.mark.parametrize("solved", [None, False, True])
def test_no_step_is_worth_nothing(mode: str, solved: bool | None) -> None:
    assert process(mode).token_rewards([], [], 3, solved=solved).tolist() == [0.0] * 3


def ends_of(scores: list[float]) -> list[int]:
    return [3 * k + 2 for k in range(len(scores))]


@given(SCORES, st.booleans())
def test_what_an_episode_is_paid_for_its_lines(scores: list[float], solved: bool) -> None:
    count = 3 * len(scores) + 2

    def total(mode: str, **arguments: Any) -> float:
        reward = process(mode, **arguments)
        return float(reward.token_rewards(ends_of(scores), scores, count, solved=solved).sum())

    mean = float(np.mean(scores)) if scores else 0.0
    weight = 0.025 if solved else 0.25
    assert total("outcome") == pytest.approx(weight * mean)
    assert total("online", weight=0.4) == pytest.approx(0.4 * mean)
    assert total("difference", weight=0.4) == pytest.approx(0.4 * (scores or [0.0])[-1])
    assert total("potential", weight=7.0) == pytest.approx(0, abs=1e-9)


@given(SCORES, st.floats(0.5, 1))
def test_shaping_by_a_potential_changes_no_discounted_return(
    scores: list[float], gamma: float
) -> None:
    reward = process("potential", weight=3.0, gamma=gamma)
    rewards = reward.token_rewards(ends_of(scores), scores, 3 * len(scores) + 2, solved=False)
    assert rewards @ gamma ** np.arange(len(rewards)) == pytest.approx(0, abs=1e-9)


@given(SCORES, st.sampled_from(["online", "difference", "potential"]), st.floats(0.5, 1))
def test_what_was_paid_stays_paid(scores: list[float], mode: str, gamma: float) -> None:
    reward = process(mode, **({"gamma": gamma} if mode == "potential" else {}))
    ends, count = ends_of(scores), 3 * len(scores) + 2
    whole = reward.token_rewards(ends, scores, count)
    for n in range(count):
        known = sum(end < n for end in ends)
        before = reward.token_rewards(ends[:known], scores[:known], n)
        np.testing.assert_allclose(before, whole[:n], atol=1e-12)


# The largest weights that are accepted, and outcomes that are as far apart as the reward says.
LIMITS = [
    ("outcome", "binary", {"weight": 0.974, "solved_weight": 0.025}),
    ("outcome", "binary", {"weight": 0.25, "solved_weight": 0.749}),
    ("outcome", "stepcoder", {"weight": 1.274, "solved_weight": 0.025}),
    ("online", "binary", {"weight": 0.499}),
    ("difference", "binary", {"weight": 0.499}),
    ("difference", "stepcoder", {"weight": 0.649}),
    ("potential", "binary", {"weight": 1e6}),
]


@given(st.sampled_from(LIMITS), SCORES, SCORES, st.booleans())
def test_no_failing_program_is_paid_more_than_a_solved_one(
    limit: Any, failing: list[float], passing: list[float], hostile: bool
) -> None:
    mode, outcome, weights = limit
    reward = ProcessReward(zeros, outcome, mode=mode, **weights)
    if hostile:  # the best for programs that fail, the worst for those that do not
        failing, passing = [1.0] * len(failing), [-1.0] * len(passing)

    def total(scores: list[float], verdict: Verdict) -> float:
        solved = verdict is Verdict.ACCEPTED
        count = 3 * len(scores) + 2
        tokens = reward.token_rewards(ends_of(scores), scores, count, solved=solved)
        return float(tokens.sum()) + sum(reward.outcome(Grade(verdict, 0, 1)).values())

    wrong = max(total(failing, verdict) for verdict in Verdict if verdict is not Verdict.ACCEPTED)
    assert wrong < total(passing, Verdict.ACCEPTED)


@pytest.mark.parametrize(
    ("mode", "outcome", "weights"),
    [
        ("outcome", "binary", {"weight": 0.975}),
        ("outcome", "binary", {"weight": 0.5, "solved_weight": 0.5}),
        ("online", "binary", {"weight": 0.5}),
        ("difference", BinaryReward(), {"weight": 0.5}),
        ("online", "stepcoder", {"weight": 0.65}),
    ],
)
def test_larger_weights_are_refused(mode: Any, outcome: Any, weights: Any) -> None:
    with pytest.raises(ConfigurationError, match="paid more than a solved one"):
        ProcessReward(zeros, outcome, mode=mode, **weights)
    # With an outcome of unknown margin, the caller knows better.
    ProcessReward(zeros, lambda _: 1.0, mode=mode, **weights)
    ProcessReward(zeros, "rltf", mode=mode, **weights)


def test_defaults() -> None:
    reward = ProcessReward(zeros)
    assert (reward.mode, reward.weight, reward.solved_weight) == ("outcome", 0.25, 0.025)
    assert isinstance(reward.outcome, BinaryReward)
    assert reward.neutral == NEUTRAL
    assert isinstance(zeros, StepScorer)


BAD: list[tuple[dict[str, Any], type[CodegymError], str]] = [
    ({"scorer": 3}, ConfigurationError, "scorer must be callable"),
    ({"outcome": "binray"}, UnknownNameError, "Did you mean 'binary'"),
    ({"outcome": process()}, ConfigurationError, "callable of the grade"),
    ({"mode": "outcomes"}, UnknownNameError, "Did you mean 'outcome'"),
    ({"weight": -0.1}, ConfigurationError, "weight must be a finite"),
    ({"weight": math.nan}, ConfigurationError, "weight must be a finite"),
    ({"weight": "0.1"}, ConfigurationError, "weight must be a finite"),
    ({"weight": True}, ConfigurationError, "weight must be a finite"),
    ({"solved_weight": math.inf}, ConfigurationError, "solved_weight must be a finite"),
    ({"solved_weight": 0.0, "mode": "online"}, ConfigurationError, "no meaning in the mode"),
    ({"gamma": 1.0}, ConfigurationError, "gamma has no meaning in the mode 'outcome'"),
    ({"gamma": 1.1, "mode": "potential"}, ConfigurationError, "gamma must be above 0"),
    ({"gamma": 0.0, "mode": "potential"}, ConfigurationError, "gamma must be above 0"),
    ({"neutral": ("comments",)}, UnknownNameError, "Did you mean 'comment'"),
    ({"neutral": "comment"}, ConfigurationError, "collection of names"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ProcessReward(**{"scorer": zeros, **arguments})


def test_a_process_reward_is_part_of_no_other_reward() -> None:
    with pytest.raises(ConfigurationError, match="callable of the grade"):
        WeightedReward({"lines": (1.0, process())})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="callable of the grade"):
        make_reward(process())  # type: ignore[arg-type]


def test_scores_are_clipped() -> None:
    reward = ProcessReward(lambda _: np.array([3, -7, 0.5], dtype=np.float32))
    assert reward.score([np.zeros(1, dtype=np.int64)] * 3).tolist() == [1.0, -1.0, 0.5]
    assert ProcessReward(lambda _: [1, -3]).score([np.zeros(1)] * 2).tolist() == [1, -1]


def raising(sequences: Any) -> Any:
    raise KeyError("no model")


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (raising, "raised KeyError: 'no model'. It concerns the sub-environments 4, 7"),
        (lambda _: [1.0], r"each of the 3 sequences; function returned .* \(1,\)"),
        (lambda _: np.zeros((3, 1)), r"shape \(3, 1\)"),
        (lambda _: 0.5, r"shape \(\)"),
        (lambda _: None, "dtype object. It concerns the sub-environments 4, 7"),
        (lambda _: ["a", "b", "c"], "dtype <U1"),
        (lambda _: [True, False, True], "dtype bool"),
        (lambda _: [1.0, 1.0, math.nan], "nan for 1 of 3 sequences, first for one of 6"),
        (lambda _: [1.0, math.inf, math.nan], "inf for 2 of 3 sequences, .* of 5 tokens"),
        (lambda _: [1.0, 0, -math.inf], "It concerns the sub-environment 7[.]"),
        (lambda _: [1.0, [0], 2], "raised ValueError"),
    ],
)
def test_a_scorer_that_fails(scorer: Any, message: str) -> None:
    sequences = [np.zeros(n, dtype=np.int64) for n in (4, 5, 6)]
    with pytest.raises(RewardError, match=message) as caught:
        ProcessReward(scorer).score(sequences, [4, 4, 7])
    if scorer is raising:
        assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(RewardError) as caught:
        ProcessReward(scorer).score(sequences)
    assert "sub-env" not in str(caught.value)


class Model:
    """A scorer that tells whose tokens it reads."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __call__(self, sequences: Any) -> Any:
        return zeros(sequences)


@pytest.mark.parametrize(
    ("model", "fits"),
    [
        (zeros, True),
        (Model(), True),
        (Model(vocab_size=258), True),
        (Model(vocab_size=512), False),
        (Model(tokenizer="byte"), True),
        (Model(tokenizer=ByteTokenizer(), vocab_size=258), True),
        (Model(tokenizer="mini"), False),
        (Model(tokenizer=MiniTokenizer()), False),
    ],
)
def test_a_scorer_of_other_tokens_is_refused(model: Any, fits: bool) -> None:
    reward = ProcessReward(model)
    if fits:
        reward.check_tokenizer(ByteTokenizer())
    else:
        with pytest.raises(ConfigurationError, match="trained with"):
            reward.check_tokenizer(ByteTokenizer())


def test_tokenizers_of_equal_size_are_told_apart() -> None:
    class Other(ByteTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return super().token_bytes({5: 6, 6: 5}.get(token_id, token_id))

    class Ends(ByteTokenizer):
        end_id = 257

    for tokenizer, token in ((Other(), 5), (Ends(), 256)):
        with pytest.raises(ConfigurationError, match=f"differ from token {token} on"):
            ProcessReward(Model(tokenizer=tokenizer)).check_tokenizer(ByteTokenizer())


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.data())
def test_a_better_score_is_never_paid_less(scores: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(scores) - 1))
    better = [*scores]
    better[place] = data.draw(st.floats(scores[place], 1))
    assume(better != scores)
    for mode, solved in itertools.product(("outcome", "online", "difference"), (True, False)):
        reward, count = process(mode), 3 * len(scores) + 2
        totals = [
            float(reward.token_rewards(ends_of(each), each, count, solved=solved).sum())
            for each in (scores, better)
        ]
        assert totals[1] >= totals[0] - 1e-12
