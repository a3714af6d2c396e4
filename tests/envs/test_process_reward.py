"""Process rewards in the environments: which lines are asked for, when, and what is paid."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegym.envs import CodeEnv, CodeVectorEnv, CompletionFormat
from codegym.errors import ConfigurationError, ResetNeededError, RewardError
from codegym.grading import Grader
from codegym.problems import ProblemSet
from codegym.programs import neutral_lines
from codegym.rewards import (
    Difference,
    OutcomeWeighted,
    Potential,
    ProcessReward,
    RunningMean,
)
from codegym.tokenization import ByteTokenizer

from .conftest import SIGN
from .executors import Late, MadeUp
from .scorers import FORMS, Texts, hashed, process_reward

PROMPT = "# Return the sign of x.\ndef sign(x):\n"
REST = SIGN.canonical_solution[len(SIGN.starter_code) :]
WRONG = "    # Guess.\n    y = 1\n\n    pass\n    return y"
LINES = {"    y = 1": 0.6, "    return y": -0.2}  # scores of the two steps of WRONG
BYTES = ByteTokenizer()


def last_line(text: str) -> float:
    return LINES.get(text.rstrip("\n").rsplit("\n", 1)[-1], 0.0)


@pytest.fixture
def make(problems: ProblemSet) -> Any:
    with Grader(MadeUp(problems)) as grader:

        def make_env(reward: Any, num_envs: int | None = None, **arguments: Any) -> Any:
            given = {
                "problems": problems, "grader": grader, "tokenizer": "byte",
                "context_length": 600, "max_new_tokens": 300, "reward": reward, **arguments,
            }  # fmt: skip
            return CodeEnv(**given) if num_envs is None else CodeVectorEnv(num_envs, **given)

        yield make_env


def write(env: CodeEnv, text: str, *, end: bool = True) -> list[Any]:
    """What each step returned, from the first token to the end or the last one."""
    tokens = [*env.tokenizer.encode(text), *([env.tokenizer.end_id] if end else [])]
    steps = []
    for token in tokens:
        steps.append(env.step(token))
        if steps[-1][2] or steps[-1][3]:
            break
    return steps


def play(env: CodeEnv, text: str, *, end: bool = True) -> tuple[list[float], dict[str, Any]]:
    """The reward of each step, and the last info."""
    env.reset(seed=0, options={"problem_id": "sign"})
    steps = write(env, text, end=end)
    return [step[1] for step in steps], steps[-1][4]


@pytest.mark.parametrize(
    ("form", "newline", "last", "end"),
    [
        # Two steps with the scores .6 and -.2, the second without newline.
        (OutcomeWeighted(0.25), 0.075, -0.025, 0.0),  # .25 / 2 each
        (RunningMean(0.4), 0.24, -0.16, 0.0),  # means .6, .2
        (Difference(0.4), 0.24, -0.32, 0.0),
        (Potential(0.4), 0.24, 0.0, -0.24),
    ],
)
def test_a_wrong_program_by_hand(
    make: Any, grader: Grader, form: Any, newline: float, last: float, end: float
) -> None:
    reward = ProcessReward(Texts(BYTES, last_line), "stepcoder", form=form)
    env = make(reward, grader=grader)
    rewards, info = play(env, WRONG)
    outcome = info["reward_terms"]["unit_tests"]
    assert (outcome, info["verdict"]) == (-0.3, "wrong_answer")
    process = newline + last + end
    assert info["reward_terms"] == {"unit_tests": outcome, "process": pytest.approx(process)}
    expected = np.zeros(600)
    start = info["start_length"]
    first = start + WRONG.index("1\n") + 1
    expected[[first, start + len(WRONG) - 1]] = newline, last
    expected[start + len(WRONG)] = end + outcome
    tokens = info["token_rewards"]
    assert (tokens.dtype, tokens.shape) == (np.float32, (600,))
    np.testing.assert_allclose(tokens, expected, atol=1e-7)
    # What is paid when: at the newline, or all at the end.
    before = 0.0 if form.pays == "at the end" else newline
    assert rewards[first - start] == pytest.approx(before)
    assert rewards[-1] == pytest.approx(process + outcome - before)
    assert not np.delete(rewards, [first - start, -1]).any()


def test_the_scorer_is_asked_for_lines_that_are_not_neutral(make: Any) -> None:
    for form in FORMS:
        scorer = Texts(BYTES, last_line)
        env = make(process_reward(form, scorer))
        play(env, WRONG)
        first = PROMPT + WRONG[: WRONG.index("1\n") + 2]
        whole = PROMPT + WRONG
        if form == "outcome":
            assert scorer.calls == [[first, whole]], "one call, at the end"
        elif form.startswith("potential"):
            assert scorer.calls == [[first]], "what the last line is worth cannot matter"
        else:
            assert scorer.calls == [[first], [whole]]


def test_given_code_is_not_scored_and_a_given_half_line_is(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    env = make(process_reward("online", scorer))
    given = "    if x > 0:\n        ret"
    env.reset(options={"problem_id": "sign", "prefix": given})
    write(env, "urn 1\n    if x > 0:\n    return -1")
    shown = PROMPT + given
    assert scorer.calls == [
        [shown + "urn 1\n"], [shown + "urn 1\n    if x > 0:\n    return -1"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "text", "asked", "dropped"),
    [
        # The newline ended the line before it was known to begin a stop sequence.
        (("\nprint",), "    y = 1\nprint", ["    y = 1\n"], 0),
        (("#",), "    y = 1 # z", ["    y = 1 "], 0),
        (("1 #",), "    y = 21 # z", ["    y = 2"], 0),
        (("y",), "    y = 1", [], 0),
        (("=",), "    pass\n    x = 1", ["    pass\n    x "], 0),  # x alone does nothing
        # A line that a stop sequence cuts off afterwards counts for nothing.
        (("\nz = 2\nend",), "    y = 1\nz = 2\nend", ["    y = 1\n", "    y = 1\nz = 2\n"], 1),
    ],
)
@pytest.mark.parametrize("form", ["outcome", "online", "difference"])
def test_stop_sequences(
    make: Any, form: str, stop: Any, text: str, asked: list[str], dropped: int
) -> None:
    scorer = Texts(BYTES, lambda text: 1.0 if text.endswith("z = 2\n") else 0.5)
    reward = process_reward(form, scorer)
    env = make(reward, prompt_format=CompletionFormat(stop))
    rewards, info = play(env, text, end=False)
    program = info["program"].removeprefix("def sign(x):\n")
    neutral = text.startswith("    pass")
    told = [one.removeprefix(PROMPT) for call in scorer.calls for one in call]
    if form == "outcome" and dropped:
        asked = asked[:-dropped]
    assert told == ([] if neutral else asked), program
    worth = 0.5 if told else 0.0
    rates: Any = reward.form
    weight = rates.solved_weight if form == "outcome" and solved(info) else rates.weight
    assert info["reward_terms"]["process"] == pytest.approx(weight * worth)
    assert_sums(rewards, info)


def solved(info: dict[str, Any]) -> bool:
    return bool(info["verdict"] == "accepted")


def assert_sums(rewards: Any, info: dict[str, Any]) -> None:
    total = sum(info["reward_terms"].values())
    assert sum(rewards) == pytest.approx(total, abs=1e-12)
    assert info["token_rewards"].sum(dtype=np.float64) == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_newline_on_the_last_token_of_the_budget(make: Any, form: str) -> None:
    scorer = Texts(BYTES, lambda _: 0.8)
    env = make(process_reward(form, scorer), max_new_tokens=10)
    rewards, info = play(env, "    y = 1\n", end=False)
    assert scorer.calls == ([] if "potential" in form else [[PROMPT + "    y = 1\n"]])
    assert_sums(rewards, info)
    assert not any(rewards[:-1])
    start = info["start_length"]
    assert not info["token_rewards"][: start + 9].any()


class Merged(ByteTokenizer):
    """Bytes, and tokens that hold newlines and text."""

    words = (
        b"\n\n",
        b"\n    return y",
        b":\n        pass\n",
        b"\n    ",
        b"\n    # c\n    return 1\n",
    )
    vocab_size = 258 + len(words)

    def token_bytes(self, token_id: int) -> bytes:
        return self.words[token_id - 258] if token_id >= 258 else super().token_bytes(token_id)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((b"    y = 1", 258, 256), [1]),  # a code line and a blank one
        ((b"    y = 1", 258, 258, b" ", 256), [1]),
        ((b"    y = 1", 261, b"return y", 256), [1, 9]),
        ((b"    y = 1", 259, 256), [1]),  # the last line ends with a token that is a step already
        ((b"    pass", 259, 256), [1]),
        ((b"    if x", 260, 256), [1]),  # one of the two lines does nothing
        ((b"    if x", 262, 256), [1]),
        ((b"    pass", 262, 256), [1]),
    ],
)
@pytest.mark.parametrize("form", ["outcome", "online", "difference"])
def test_tokens_that_hold_newlines_and_text(
    make: Any, form: str, words: tuple[Any, ...], asked: list[int]
) -> None:
    tokens = [token for word in words for token in (word if isinstance(word, bytes) else [word])]
    first = len(words[0]) - 1
    scorer = Texts(Merged(), lambda _: 0.5)
    env = make(process_reward(form, scorer), tokenizer=Merged())
    env.reset(seed=0, options={"problem_id": "sign"})
    steps = [env.step(token) for token in tokens]
    told = [one for call in scorer.calls for one in call]
    decode = Merged().decode
    assert told == [PROMPT + decode(tokens[: first + k + 1]) for k in asked]
    info = steps[-1][4]
    assert_sums([step[1] for step in steps], info)
    paid = info["token_rewards"][info["start_length"] :][: len(tokens) - 1]
    assert set(np.flatnonzero(paid)) <= {first + k for k in asked}
    envs = make(process_reward(form), 1, tokenizer=Merged(), autoreset_mode="DISABLED")
    one = make(process_reward(form), tokenizer=Merged())
    for single in (envs, one):
        single.reset(seed=0, options={"problem_id": "sign"})
    envs.submit(0, tokens)
    last = [one.step(token) for token in tokens][-1]
    infos = envs.collect()[4]
    np.testing.assert_array_equal(infos["token_rewards"][0], last[4]["token_rewards"])


def test_lines_may_end_with_a_return(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    play(make(process_reward("online", scorer)), "    y = 1\r    z = 2\r\n")
    first = PROMPT + "    y = 1\r"
    assert scorer.calls == [[first], [first + "    z = 2\r"]]


def test_what_the_scorer_is_given_is_its_own(make: Any) -> None:
    kept: list[Any] = []

    def scorer(tokens: Any, ends: Any) -> Any:
        kept.extend(tokens)
        return [0.5 for each in ends for _ in each]

    for form, num_envs in (("online", None), ("outcome", None), ("online", 1), ("outcome", 1)):
        env = make(process_reward(form, scorer), num_envs, copy=False)
        obs, _ = env.reset(seed=0, options={"problem_id": "sign"})
        for token in [*b"    y = 1\n    z = 2\n    return y", env.tokenizer.end_id]:
            env.step(token if num_envs is None else np.array([token]))
        assert len(kept) == (1 if form == "outcome" else 3), "one array for a program"
        assert not any(np.shares_memory(one, obs["input_ids"]) for one in kept)
        assert {(one.dtype, one.ndim) for one in kept} == {(np.dtype(np.int64), 1)}
        kept.clear()


TEXT = st.lists(
    st.sampled_from(
        ["    y = 1\n", "y", "\n", " # c", "    pass\n", "    f(x)\n", "    ", "=", "'"]
    )
).map("".join)


@pytest.mark.parametrize("form", FORMS)
def test_terms_steps_and_tokens_have_the_same_sum(make: Any, form: str) -> None:
    env = make(process_reward(form), max_new_tokens=60)

    @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(TEXT, st.booleans())
    def check(text: str, end: bool) -> None:
        rewards, info = play(env, text.ljust(60, "z"), end=False) if not end else play(env, text)
        assert_sums(rewards, info)
        if form == "potential":
            assert info["reward_terms"]["process"] == pytest.approx(0, abs=1e-12)

    check()


@pytest.mark.parametrize("form", FORMS)
def test_rewards_of_steps_are_rewards_of_tokens(make: Any, form: str) -> None:
    """A learner that sees the rewards of steps sees those of tokens, but for the last line."""
    env = make(process_reward(form))
    rewards, info = play(env, "    y = 1\n\n    z = 2\n    return y\n")
    tokens = info["token_rewards"][info["start_length"] :][: len(rewards)]
    if form != "outcome":
        assert rewards == pytest.approx(tokens.tolist(), abs=1e-6)


def by_code_alone(text: str) -> float:
    """A score of the lines that are not neutral."""
    lines = zip(text.splitlines(), neutral_lines(text), strict=True)
    return hash_of("\n".join(line for line, why in lines if why is None))


def hash_of(text: str) -> float:
    tokens = np.array(list(text.encode()), dtype=np.int64)
    return float(hashed([tokens], [np.array([len(tokens)])])[0])


GOOD = ["    y = 1", "    if x:", "        y = 2", "    return y"]


@pytest.mark.parametrize("form", ["outcome", "online", "difference", "potential"])
def test_padding_earns_nothing(make: Any, form: str) -> None:
    scorer = Texts(BYTES, by_code_alone)
    chosen = OutcomeWeighted(0.25, 0.25) if form == "outcome" else FORMS[form]
    env = make(ProcessReward(scorer, lambda _: 0.0, form=chosen))
    lean = play(env, "\n".join(GOOD) + "\n")[1]["reward_terms"]["process"]

    @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        padding = ["    # y is 1", "", "    pass", "    y", "    y = y", "    'why'", "    ...; 1"]
        lines = list(GOOD)
        for _ in range(data.draw(st.integers(1, 6))):
            place = data.draw(st.integers(0, len(lines)))
            lines.insert(place, data.draw(st.sampled_from([*padding, *lines[:place]])))
        padded = play(env, "\n".join(lines) + "\n")[1]["reward_terms"]["process"]
        assert padded == pytest.approx(lean)

    check()


@pytest.mark.parametrize(
    "form", [OutcomeWeighted(), RunningMean(0.499), Difference(0.499), Potential(50.0)]
)
def test_no_failing_program_out_scores_a_solved_one(make: Any, form: Any) -> None:
    returns: dict[bool, list[float]] = {True: [], False: []}
    for score in (1.0, -1.0):

        def constant(_: str, score: float = score) -> float:
            return score

        env = make(ProcessReward(Texts(BYTES, constant), form=form))
        for k in range(24):
            rewards, info = play(env, f"    y = {k}\n    return y\n")
            if solved(info) == (score < 0):  # the scorer favours those that fail
                returns[solved(info)].append(sum(rewards))
    assert min(map(len, returns.values())) > 4
    assert max(returns[False]) < min(returns[True])


def test_a_discounted_potential_changes_no_discounted_return(make: Any) -> None:
    env = make(process_reward("potential, discounted"))
    rewards, info = play(env, "    y = 1\n    z = 2\n    return y\n")
    discounts = 0.9 ** np.arange(len(rewards))
    outcome = info["reward_terms"]["unit_tests"]
    assert rewards @ discounts == pytest.approx(outcome * discounts[-1])
    assert np.count_nonzero(rewards) > 20, "every token is paid for once a potential is in force"


@pytest.mark.parametrize("form", FORMS)
def test_snapshots_keep_scores_and_what_was_paid(make: Any, form: str) -> None:
    scorer = Texts(BYTES, hash_of)
    env, other = make(process_reward(form, scorer)), make(process_reward(form, scorer))
    begin, rest = "    y = 1\n    z = 2\n    if y", ":\n        return z\n    return 1"
    env.reset(seed=0, options={"problem_id": "sign"})
    write(env, begin, end=False)
    state = pickle.loads(pickle.dumps(env.save_state()))
    before = len(scorer.calls)
    first = write(env, rest)
    asked = scorer.calls[before:]
    for one in (env, other):
        scorer.calls.clear()
        one.restore_state(state)
        assert one.save_state().scored == state.scored
        np.testing.assert_equal(write(one, rest), first)
        assert scorer.calls == asked, "lines that have a score are not asked for again"


@pytest.mark.parametrize("form", FORMS)
def test_gymnasiums_checker_finds_nothing(make: Any, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(process_reward(form)), skip_render_check=True)


def test_no_call_of_the_scorer_is_needed_without_a_step(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    for form in FORMS:
        rewards, info = play(make(process_reward(form, scorer)), "    pass\n    # c\n\n")
        assert info["reward_terms"]["process"] == 0.0
        assert_sums(rewards, info)
    assert scorer.calls == []


def test_an_environment_without_a_process_reward_tells_no_token_rewards(make: Any) -> None:
    assert "token_rewards" not in play(make("binary"), REST)[1]
    assert make("binary", 2)._ledger is None


def test_a_scorer_of_other_tokens_is_refused(make: Any) -> None:
    scorer: Any = Texts(BYTES, last_line)
    scorer.vocab_size = 512
    for count in (None, 2):
        with pytest.raises(ConfigurationError, match="reads 512 tokens"):
            make(ProcessReward(scorer), count)


def test_an_outcome_may_not_use_the_name_of_the_term(make: Any) -> None:
    env = make(ProcessReward(hashed, lambda _: {"process": 1.0}))
    with pytest.raises(RewardError, match="no term named 'process'"):
        play(env, REST)


def test_a_scorer_that_fails_in_a_single_environment(make: Any) -> None:
    text = "    y = 1\n    z = 2\n    return y"
    expected, last = play(make(process_reward("online", Texts(BYTES, len))), text)
    scorer = Texts(BYTES, len)
    env = make(process_reward("online", scorer))
    env.reset(seed=0, options={"problem_id": "sign"})
    first, second, third = text.partition("\n    z")
    rewards = [step[1] for step in write(env, first, end=False)]
    scorer.broken = ValueError("no memory")
    with pytest.raises(RewardError, match="raised ValueError: no memory") as caught:
        env.step(ord("\n"))
    assert isinstance(caught.value.__cause__, ValueError)
    # The token is written; its line is asked for with the next one.
    scorer.broken = None
    steps = write(env, second[1:] + third)
    rewards += [0.0, *(step[1] for step in steps)]
    assert scorer.calls[-2] == [PROMPT + "    y = 1\n", PROMPT + "    y = 1\n    z = 2\n"]
    assert steps[-1][4]["reward_terms"] == pytest.approx(last["reward_terms"])
    np.testing.assert_array_equal(steps[-1][4]["token_rewards"], last["token_rewards"])
    assert sum(rewards) == pytest.approx(sum(expected))


def test_a_scorer_that_fails_at_the_end_of_a_single_environment(make: Any) -> None:
    scorer = Texts(BYTES, len)
    scorer.broken = [[1.0]]
    env = make(ProcessReward(scorer))
    env.reset(seed=0)
    write(env, "    y = 1\n", end=False)
    with pytest.raises(RewardError, match=r"shape \(1, 1\)"):
        env.step(env.tokenizer.end_id)
    with pytest.raises(ResetNeededError):
        env.step(97)
    assert env.start_states is not None
    scorer.broken = None
    assert_sums(*play(env, "    y = 1\n"))


def letters(envs: CodeVectorEnv, *texts: str) -> Any:
    """(T, N) actions that write one text in each sub-environment, padded with spaces."""
    width = max(map(len, texts))
    return np.array([list(text.ljust(width).encode()) for text in texts]).T


def test_one_call_of_the_scorer_for_all_lines_of_a_step(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    envs = make(process_reward("online", scorer), 3)
    envs.reset(seed=0, options={"problem_id": "sign"})
    called = []
    for actions in letters(envs, "a = 1\nb = 2\n", "c = 3\n# d\n", "pass\n\ne = 4\n"):
        before = len(scorer.calls)
        envs.step(actions)
        called.append(len(scorer.calls) - before)
    assert [t for t, count in enumerate(called) if count] == [5, 11]
    assert max(called) == 1
    assert scorer.calls == [
        [PROMPT + "a = 1\n", PROMPT + "c = 3\n"],
        [PROMPT + "a = 1\nb = 2\n", PROMPT + "pass\n\ne = 4\n"],
    ]
    envs.step(np.full(3, envs.tokenizer.end_id))
    assert len(scorer.calls) == 2, "the last lines had ended"


def test_all_continuations_in_one_call(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    envs = make(process_reward("online", scorer), 2)
    envs.reset(seed=0, options={"problem_id": "sign"})
    envs.submit(0, list(b"a = 1\nb = 2\nc"))
    envs.submit(1, [*b"a = 1\nb = 2", envs.tokenizer.end_id])
    assert scorer.calls == []
    *_, terminated, _, infos = envs.collect()
    assert terminated.tolist() == [False, True]
    ends = ["a = 1\n", "a = 1\nb = 2\n", "a = 1\n", "a = 1\nb = 2"]
    assert scorer.calls == [[PROMPT + end for end in ends]]
    assert infos["token_rewards"].shape == (2, 600)
    assert infos["token_rewards"].dtype == np.float32
    assert infos["_token_rewards"].tolist() == [False, True]


def test_scores_do_not_depend_on_who_else_is_in_the_batch(make: Any) -> None:
    alone, info = play(make(process_reward("online")), "    y = 1\n    return y\n")
    envs = make(process_reward("online"), 3, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0, options={"problem_id": "sign"})
    rewards = np.zeros(3)
    tokens = [*b"    y = 1\n    return y\n", envs.tokenizer.end_id]
    for token in tokens:
        step = envs.step(np.array([token, 10, token]))
        rewards += step[1]
    assert rewards[[0, 2]] == pytest.approx(sum(alone))
    for i in (0, 2):
        np.testing.assert_array_equal(step[4]["token_rewards"][i], info["token_rewards"])


@pytest.mark.parametrize("judging", ["sync", "async"])
@pytest.mark.parametrize("form", ["outcome", "online"])
@pytest.mark.parametrize("lane", ["tokens", "sequences"])
def test_a_scorer_that_fails_loses_nothing(
    problems: ProblemSet, judging: Any, form: str, lane: str
) -> None:
    texts = ["    y = 1\n    return y", "    z = 22\n", "    y = 1\n    f(x)\n    return y"]
    scorer = Texts(BYTES, lambda text: len(text) % 7 / 7)
    executor = Late(MadeUp(problems), longest=0.0)
    with Grader(executor) as grader:
        arguments: dict[str, Any] = {
            "problems": problems, "tokenizer": "byte", "context_length": 600, "copy": False,
            "reward": process_reward(form, scorer), "grader": grader,
        }  # fmt: skip
        expected = [play(CodeEnv(**arguments), text) for text in texts]
        envs = CodeVectorEnv(3, autoreset_mode="DISABLED", judging=judging, **arguments)
        rewards, failures = np.zeros(3), 0
        for told in fitfully(envs, texts, scorer, lane=lane):
            if isinstance(told, RewardError):
                failures += 1
                assert isinstance(told.__cause__, RuntimeError)
                continue
            rewards += told[1]
            for i in np.flatnonzero(told[4].get("_verdict", ())):
                alone, info = expected[i]
                assert rewards[i] == pytest.approx(sum(alone))
                assert told[4]["program"][i] == info["program"]
                np.testing.assert_array_equal(told[4]["token_rewards"][i], info["token_rewards"])
                expected[i] = ([], {})
        assert failures > 0
        assert not any(info for _, info in expected)
        envs.close()
    executor.close()


def fitfully(envs: CodeVectorEnv, texts: list[str], scorer: Texts, *, lane: str) -> Any:
    """Writes texts to their end, while the scorer fails now and then; what each step told."""
    rng = np.random.default_rng(1)
    envs.reset(seed=0, options={"problem_id": "sign"})
    left = [[*text.encode(), envs.tokenizer.end_id] for text in texts]
    ended = np.zeros(len(texts), dtype=bool)
    while not ended.all():
        scorer.broken = RuntimeError("no memory") if rng.random() < 0.7 else None
        if lane == "sequences":
            for i in np.flatnonzero(envs._writing):
                del left[i][: envs.submit(int(i), left[i][: rng.integers(1, 9)])]
        before, writing = envs._rows.observation(copy=True), envs._writing.copy()
        try:
            actions = np.array([(each or [-1])[0] for each in left])
            step = envs.collect() if lane == "sequences" else envs.step(actions)
        except RewardError as error:
            assert scorer.broken is not None
            np.testing.assert_equal(envs._rows.observation(copy=True), before)
            yield error
            continue
        if lane == "tokens":
            for i in np.flatnonzero(writing):
                del left[i][0]
        ended |= step[2] | step[3]
        yield step


def test_a_failure_is_raised_until_its_sub_environment_is_reset(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    envs = make(process_reward("online", scorer), 3, autoreset_mode="DISABLED")
    envs.reset(seed=0, options={"problem_id": "sign"})
    for actions in letters(envs, "a = 1", "b = 2", "c = 3"):
        envs.step(actions)
    scorer.broken = [np.nan]
    assert not envs.step(np.array([65, 10, 65]))[1].any()
    for _ in range(3):
        with pytest.raises(RewardError, match=r"nan .* sub-environment 1\."):
            envs.step(np.full(3, 66))
    envs.reset(options={"reset_mask": np.array([False, True, False]), "problem_id": "sign"})
    obs, *_ = envs.step(np.full(3, 67))
    lengths = obs["attention_mask"].sum(axis=1) - len(PROMPT)
    assert lengths.tolist() == [7, 1, 7]


def test_an_episode_does_not_end_without_its_scores(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    for judging in ("sync", "async"):
        envs = make(
            process_reward("outcome", scorer), 2, judging=judging, autoreset_mode="DISABLED"
        )
        envs.reset(seed=0, options={"problem_id": "sign"})
        envs.submit(0, [*b"y = 1", envs.tokenizer.end_id])
        scorer.broken = ValueError()
        _, rewards, terminated, _, infos = envs.step(np.full(2, 65))
        assert not terminated.any()
        assert not rewards.any()
        assert infos["judging"].tolist() == [True, False]
        with pytest.raises(RewardError, match="sub-environment 0"):
            envs.step(np.full(2, 65))
        scorer.broken = None
        _, rewards, terminated, _, infos = envs.step(np.full(2, 65))
        assert terminated.tolist() == [True, False]
        assert rewards[0] == sum(infos["reward_terms"][key][0] for key in ("unit_tests", "process"))
        envs.reset(options={"reset_mask": np.array([True, False])})


def test_an_interrupted_scorer_is_asked_again(make: Any) -> None:
    scorer = Texts(BYTES, last_line)
    envs = make(process_reward("online", scorer), 1)
    envs.reset(seed=0, options={"problem_id": "sign"})
    for actions in letters(envs, "    y = 1"):
        envs.step(actions)
    scorer.broken = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        envs.step(np.array([10]))
    scorer.broken = None
    _, rewards, *_ = envs.step(np.array([65]))
    assert rewards.tolist() == pytest.approx([0.4 * 0.6])
    assert scorer.calls[-1] == [PROMPT + "    y = 1\n"]
