"""Process rewards by hand, and what holds for any scores."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codegym.errors import CodegymError, ConfigurationError, RewardError, UnknownNameError
from codegym.grading import Grade, Verdict
from codegym.programs import NEUTRAL
from codegym.rewards import (
    BinaryReward,
    Difference,
    LineScorer,
    OutcomeWeighted,
    Potential,
    ProcessForm,
    ProcessReward,
    RunningMean,
    WeightedReward,
    make_process_form,
    make_reward,
)
from codegym.rewards.process.scorer import ask_scorer, check_scorer
from codegym.tokenization import ByteTokenizer, MiniTokenizer

SCORES = st.lists(st.floats(-1, 1), max_size=8)
# The token that ends each of three lines, of ten tokens.
ENDS, COUNT = [2, 5, 8], 10


FORMS = ["outcome", "online", "difference", "potential"]


def zeros(tokens: Any, ends: Any) -> Any:
    return np.zeros(sum(map(len, ends)))


def paid(form: ProcessForm, scores: list[float], solved: bool | None) -> list[float]:
    rewards: list[float] = form.token_rewards(ENDS, scores, COUNT, solved=solved).tolist()
    return rewards


@pytest.mark.parametrize(
    ("solved", "expected"),
    [
        # .25 * R_m / 3 and .025 * R_m / 3
        (False, [0.08, -0.04, 0.02]),
        (True, [0.008, -0.004, 0.002]),
    ],
)
def test_the_formula_of_the_paper(solved: bool, expected: list[float]) -> None:
    rewards = paid(OutcomeWeighted(), [0.96, -0.48, 0.24], solved=solved)
    assert [rewards[end] for end in ENDS] == pytest.approx(expected, abs=1e-12)
    assert [reward for t, reward in enumerate(rewards) if t not in ENDS] == [0.0] * 7
    assert paid(OutcomeWeighted(), [0.96, -0.48, 0.24], solved=None) == [0.0] * COUNT


def test_online_pays_what_the_mean_grows_by() -> None:
    rewards = paid(RunningMean(0.4), [1.0, -0.5, 0.4], solved=True)
    # Means 1, .25, .3.
    assert [rewards[end] for end in ENDS] == pytest.approx([0.4, -0.3, 0.02])
    assert sum(rewards) == pytest.approx(0.4 * 0.3)


def test_difference_pays_what_the_score_grows_by() -> None:
    rewards = paid(Difference(0.4), [1.0, -0.5, 0.4], solved=False)
    assert [rewards[end] for end in ENDS] == pytest.approx([0.4, -0.6, 0.36])
    assert sum(rewards) == pytest.approx(0.4 * 0.4)


def test_potential_pays_back_with_the_last_token() -> None:
    rewards = paid(Potential(2.0), [1.0, -0.5, 0.4], solved=False)
    assert rewards == pytest.approx([0, 0, 2, 0, 0, -3, 0, 0, 1.8, -0.8])


def test_a_discounted_potential_pays_for_each_token() -> None:
    form = Potential(1.0, gamma=0.5)
    running = form.token_rewards([1, 2], [0.8, 0.4], 5, solved=None)
    # Potentials 0 0 .8 .4 .4 .4; each token .5 * next - this.
    assert running.tolist() == pytest.approx([0, 0.4, -0.6, -0.2, -0.2])
    ended = form.token_rewards([1, 2], [0.8, 0.4], 5, solved=True)
    assert ended.tolist() == pytest.approx([0, 0.4, -0.6, -0.2, -0.4])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("solved", [None, False, True])
def test_no_step_is_worth_nothing(name: str, solved: bool | None) -> None:
    rewards = make_process_form(name).token_rewards([], [], 3, solved=solved)
    assert rewards.tolist() == [0.0] * 3


def ends_of(scores: list[float]) -> list[int]:
    return [3 * k + 2 for k in range(len(scores))]


@given(SCORES, st.booleans())
def test_what_an_episode_is_paid_for_its_lines(scores: list[float], solved: bool) -> None:
    count = 3 * len(scores) + 2

    def total(form: ProcessForm) -> float:
        return float(form.token_rewards(ends_of(scores), scores, count, solved=solved).sum())

    mean = float(np.mean(scores)) if scores else 0.0
    weight = 0.025 if solved else 0.25
    assert total(OutcomeWeighted()) == pytest.approx(weight * mean)
    assert total(RunningMean(0.4)) == pytest.approx(0.4 * mean)
    assert total(Difference(0.4)) == pytest.approx(0.4 * (scores or [0.0])[-1])
    assert total(Potential(7.0)) == pytest.approx(0, abs=1e-9)


@given(SCORES, st.floats(0.5, 1))
def test_shaping_by_a_potential_changes_no_discounted_return(
    scores: list[float], gamma: float
) -> None:
    form = Potential(3.0, gamma)
    rewards = form.token_rewards(ends_of(scores), scores, 3 * len(scores) + 2, solved=False)
    assert rewards @ gamma ** np.arange(len(rewards)) == pytest.approx(0, abs=1e-9)


@given(SCORES, st.sampled_from([RunningMean, Difference, Potential]), st.floats(0.5, 1))
def test_what_was_paid_stays_paid(scores: list[float], kind: Any, gamma: float) -> None:
    form: ProcessForm = Potential(gamma=gamma) if kind is Potential else kind()
    ends, count = ends_of(scores), 3 * len(scores) + 2
    whole = form.token_rewards(ends, scores, count, solved=None)
    for n in range(count):
        known = sum(end < n for end in ends)
        before = form.token_rewards(ends[:known], scores[:known], n, solved=None)
        np.testing.assert_allclose(before, whole[:n], atol=1e-12)


# The largest weights that are accepted, and outcomes that are as far apart as the reward says.
LIMITS: list[tuple[str, ProcessForm]] = [
    ("binary", OutcomeWeighted(0.974, 0.025)),
    ("binary", OutcomeWeighted(0.25, 0.749)),
    ("stepcoder", OutcomeWeighted(1.274, 0.025)),
    ("binary", RunningMean(0.499)),
    ("binary", Difference(0.499)),
    ("stepcoder", Difference(0.649)),
    ("binary", Potential(1e6)),
]


@given(st.sampled_from(LIMITS), SCORES, SCORES, st.booleans())
def test_no_failing_program_is_paid_more_than_a_solved_one(
    limit: Any, failing: list[float], passing: list[float], hostile: bool
) -> None:
    outcome, form = limit
    reward = ProcessReward(zeros, outcome, form=form)
    if hostile:  # the best for programs that fail, the worst for those that do not
        failing, passing = [1.0] * len(failing), [-1.0] * len(passing)

    def total(scores: list[float], verdict: Verdict) -> float:
        solved = verdict is Verdict.ACCEPTED
        count = 3 * len(scores) + 2
        tokens = form.token_rewards(ends_of(scores), scores, count, solved=solved)
        return float(tokens.sum()) + sum(reward.outcome(Grade(verdict, 0, 1)).values())

    wrong = max(total(failing, verdict) for verdict in Verdict if verdict is not Verdict.ACCEPTED)
    assert wrong < total(passing, Verdict.ACCEPTED)


@pytest.mark.parametrize(
    ("outcome", "form"),
    [
        ("binary", OutcomeWeighted(0.975)),
        ("binary", OutcomeWeighted(0.5, 0.5)),
        ("binary", RunningMean(0.5)),
        (BinaryReward(), Difference(0.5)),
        ("stepcoder", RunningMean(0.65)),
    ],
)
def test_larger_weights_are_refused(outcome: Any, form: ProcessForm) -> None:
    with pytest.raises(ConfigurationError, match="paid more than a solved one"):
        ProcessReward(zeros, outcome, form=form)
    # With an outcome of unknown margin, the caller knows better.
    ProcessReward(zeros, lambda _: 1.0, form=form)
    ProcessReward(zeros, "rltf", form=form)


def test_defaults() -> None:
    reward = ProcessReward(zeros)
    assert reward.form == OutcomeWeighted(0.25, 0.025)
    assert [make_process_form(name) for name in FORMS[1:]] == [
        RunningMean(0.25), Difference(0.25), Potential(0.25, 1.0),
    ]  # fmt: skip
    assert isinstance(reward.outcome, BinaryReward)
    assert reward.neutral == NEUTRAL
    assert isinstance(zeros, LineScorer)


class Half:
    """A form of one's own: the last token of each step earns half its score."""

    pays: Literal["at line ends"] = "at line ends"
    scores_the_end, spread = True, 0.0

    def token_rewards(self, ends: Any, scores: Any, count: int, *, solved: Any) -> Any:
        rewards = np.zeros(count)
        rewards[ends] = np.array(scores) / 2
        return rewards


def test_a_form_of_ones_own() -> None:
    assert isinstance(Half(), ProcessForm)
    assert ProcessReward(zeros, form=Half()).form.pays == "at line ends"


BAD: list[tuple[dict[str, Any], type[CodegymError], str]] = [
    ({"scorer": 3}, ConfigurationError, "scorer must be callable"),
    ({"outcome": "binray"}, UnknownNameError, "Did you mean 'binary'"),
    ({"outcome": ProcessReward(zeros)}, ConfigurationError, "callable of the grade"),
    ({"form": "outcomes"}, UnknownNameError, "Did you mean 'outcome'"),
    ({"form": 0.25}, ConfigurationError, "form must be one of 'outcome'"),
    ({"form": RunningMean}, ConfigurationError, "form must be one of 'outcome'"),
    ({"neutral": ("comments",)}, UnknownNameError, "Did you mean 'comment'"),
    ({"neutral": "comment"}, ConfigurationError, "collection of names"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ProcessReward(**{"scorer": zeros, **arguments})


@pytest.mark.parametrize("kind", [OutcomeWeighted, RunningMean, Difference, Potential])
@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf, "0.1", True, None])
def test_bad_weights(kind: Any, weight: Any) -> None:
    with pytest.raises(ConfigurationError, match="weight must be a finite"):
        kind(weight)


def test_bad_numbers_of_one_form() -> None:
    with pytest.raises(ConfigurationError, match="solved_weight must be a finite"):
        OutcomeWeighted(solved_weight=math.inf)
    for gamma in (1.1, 0.0):
        with pytest.raises(ConfigurationError, match="gamma must be above 0"):
            Potential(gamma=gamma)


def test_a_process_reward_is_part_of_no_other_reward() -> None:
    with pytest.raises(ConfigurationError, match="callable of the grade"):
        WeightedReward({"lines": (1.0, ProcessReward(zeros))})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="callable of the grade"):
        make_reward(ProcessReward(zeros))  # type: ignore[arg-type]


def asked(scorer: Any, *ends: list[int], sub_envs: Any = None) -> Any:
    """Scores of some ends of some programs."""
    tokens = [np.zeros(each[-1], dtype=np.int64) for each in ends]
    return ask_scorer(scorer, tokens, [np.array(each) for each in ends], sub_envs)


def test_scores_are_clipped() -> None:
    scorer = lambda *_: np.array([3, -7, 0.5], dtype=np.float32)  # noqa: E731
    assert asked(scorer, [1, 2], [1]).tolist() == [1.0, -1.0, 0.5]
    assert asked(lambda *_: [1, -3], [4, 5]).tolist() == [1, -1]


def raising(tokens: Any, ends: Any) -> Any:
    raise KeyError("no model")


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (raising, "raised KeyError: 'no model'. It concerns the sub-environments 4, 7"),
        (lambda *_: [1.0], r"each of the 3 ends; function returned .* \(1,\)"),
        (lambda *_: np.zeros((3, 1)), r"shape \(3, 1\)"),
        (lambda *_: 0.5, r"shape \(\)"),
        (lambda *_: None, "dtype object. It concerns the sub-environments 4, 7"),
        (lambda *_: ["a", "b", "c"], "dtype <U1"),
        (lambda *_: [True, False, True], "dtype bool"),
        (lambda *_: [1.0, 1.0, math.nan], "nan for 1 of 3 ends, first for one after 6 tokens"),
        (lambda *_: [1.0, math.inf, math.nan], "inf for 2 of 3 ends, .* after 5 tokens"),
        (lambda *_: [1.0, 0, -math.inf], "It concerns the sub-environment 7[.]"),
        (lambda *_: [1.0, [0], 2], "raised ValueError"),
    ],
)
def test_a_scorer_that_fails(scorer: Any, message: str) -> None:
    with pytest.raises(RewardError, match=message) as caught:
        asked(scorer, [4, 5], [6], sub_envs=[4, 7])
    if scorer is raising:
        assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(RewardError) as caught:
        asked(scorer, [4, 5], [6])
    assert "sub-env" not in str(caught.value)


class Model:
    """A scorer that tells whose tokens it reads."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __call__(self, tokens: Any, ends: Any) -> Any:
        return zeros(tokens, ends)


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
    if fits:
        check_scorer(model, ByteTokenizer())
    else:
        with pytest.raises(ConfigurationError, match="trained with"):
            check_scorer(model, ByteTokenizer())


def test_tokenizers_of_equal_size_are_told_apart() -> None:
    class Other(ByteTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return super().token_bytes({5: 6, 6: 5}.get(token_id, token_id))

    class Ends(ByteTokenizer):
        end_id = 257

    for tokenizer, token in ((Other(), 5), (Ends(), 256)):
        with pytest.raises(ConfigurationError, match=f"differ from token {token} on"):
            check_scorer(Model(tokenizer=tokenizer), ByteTokenizer())


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.data())
def test_a_better_score_is_never_paid_less(scores: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(scores) - 1))
    better = [*scores]
    better[place] = data.draw(st.floats(scores[place], 1))
    assume(better != scores)
    for name, solved in itertools.product(FORMS[:3], (True, False)):
        form, count = make_process_form(name), 3 * len(scores) + 2
        totals = [
            float(form.token_rewards(ends_of(each), each, count, solved=solved).sum())
            for each in (scores, better)
        ]
        assert totals[1] >= totals[0] - 1e-12
