"""The episode: what reset draws, what ends it, what its end is worth."""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from concurrent.futures import Future
from typing import Any, NoReturn

import numpy as np
import pytest

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import (
    ClosedError,
    CodegymError,
    ConfigurationError,
    ContextLengthError,
    InvalidActionError,
    RenderModeError,
    ResetNeededError,
    StartStateError,
    StartStateWarning,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import FakeExecutor, Request
from codegym.grading import Grader
from codegym.problems import ProblemSet
from codegym.start_states import JumpStart
from codegym.tokenization import ByteTokenizer

from .conftest import ECHO, SIGN
from .scorers import process_reward

Step = tuple[Any, float, bool, bool, dict[str, Any]]
REST = SIGN.canonical_solution[len(SIGN.starter_code) :]


@pytest.fixture
def make(problems: ProblemSet, grader: Grader) -> Any:
    def make_env(**arguments: Any) -> CodeEnv:
        defaults = {"problems": problems, "grader": grader, "tokenizer": "byte"}
        return CodeEnv(**{"context_length": 600, "max_new_tokens": 300, **defaults, **arguments})

    return make_env


def write(env: CodeEnv, text: str, *, end: bool = True) -> Step:
    step: Step | None = None
    for token in env.tokenizer.encode(text):
        step = env.step(token)
        if step[2] or step[3]:
            return step
    if end:
        return env.step(env.tokenizer.end_id)
    assert step is not None
    return step


def test_observation_is_prompt_given_code_generated_then_padding(make: Any) -> None:
    env = make(start="cccs")
    obs, info = env.reset(seed=0, options={"problem_id": "sign", "stage": 1})
    text = env.tokenizer.decode(obs["input_ids"][: info["start_length"]])
    given = "    if x > 0:\n        return 1\n"
    assert text == "# Return the sign of x.\ndef sign(x):\n" + given
    assert info["start_length"] - info["prompt_length"] == len(given)
    assert info == {
        "problem_id": "sign", "source": "custom", "difficulty": "introductory", "stage": 1,
        "num_stages": 2,
        "prompt_length": info["prompt_length"], "start_length": info["start_length"],
    }  # fmt: skip
    obs, *_ = env.step(65)
    assert obs["input_ids"][info["start_length"]] == 65
    assert obs["attention_mask"].sum() == info["start_length"] + 1
    assert (obs["input_ids"][info["start_length"] + 1 :] == env.tokenizer.pad_id).all()


def test_the_canonical_solution_earns_full_reward_from_every_stage(make: Any) -> None:
    env = make(start="cccs")
    for stage in (0, 1):
        env.reset(seed=0, options={"problem_id": "sign", "stage": stage})
        given = env.save_state().episode.start.prefix
        _, reward, terminated, truncated, info = write(env, REST[len(given) :])
        assert (reward, terminated, truncated) == (1.0, True, False)
        assert info["verdict"] == "accepted"
        assert info["program"] == SIGN.canonical_solution
        assert (info["tests_passed"], info["tests_total"], info["error_type"]) == (3, 3, None)
        assert info["executed_lines"] == (1, 2, 3, 4, 5, 6)
        assert info["coverage"] == 1.0


def test_stdin_problems(make: Any) -> None:
    env = make()
    env.reset(options={"problem_id": "echo"})
    assert write(env, ECHO.canonical_solution)[1] == 1.0
    env.reset(options={"problem_id": "echo"})
    assert write(env, "print(1)\n")[1] == -0.3


@pytest.mark.parametrize(
    ("code", "reward", "verdict", "error"),
    [
        ("    return 0\n", -0.3, "wrong_answer", None),
        ("    return 1 // x\n", -0.6, "runtime_error", "ZeroDivisionError"),
        ("    return (\n", -1.0, "compile_error", "SyntaxError"),
    ],
)
def test_verdicts_and_rewards(
    make: Any, code: str, reward: float, verdict: str, error: Any
) -> None:
    env = make()
    env.reset(options={"problem_id": "sign"})
    step = write(env, code)
    assert (step[1], step[4]["verdict"], step[4]["error_type"]) == (reward, verdict, error)
    assert step[4]["reward_terms"] == {"unit_tests": reward}


def test_reward_is_0_until_the_end(make: Any) -> None:
    env = make()
    env.reset(options={"problem_id": "sign"})
    for token in env.tokenizer.encode(REST):
        _, reward, terminated, truncated, info = env.step(token)
        assert (reward, terminated, truncated, info) == (0.0, False, False, {})


def test_masks_mark_generated_tokens_that_ran(make: Any) -> None:
    env = make(start="cccs")
    _, start = env.reset(options={"problem_id": "sign", "stage": 1})
    *_, info = write(env, "    if x > 99:\n        return 7\n    return -1\n")
    begin, mask = start["start_length"], info["loss_mask"]
    assert mask.dtype == np.int8
    assert mask.shape == info["prompt_mask"].shape == (600,)
    assert info["prompt_mask"].tolist() == [1] * begin + [0] * (600 - begin)
    generated = [("    if x > 99:\n", 1), ("        return 7\n", 0), ("    return -1\n", 1)]
    expected = [bit for text, bit in generated for _ in text] + [1]  # and the end token
    assert mask[begin : begin + len(expected)].tolist() == expected
    assert mask[:begin].sum() == mask[begin + len(expected) :].sum() == 0


def test_a_compile_error_masks_nothing_out(make: Any) -> None:
    env = make()
    _, start = env.reset(options={"problem_id": "sign"})
    *_, info = write(env, "    return (\n")
    assert info["loss_mask"].sum() == len("    return (\n") + 1
    assert info["loss_mask"][start["start_length"]] == 1


def test_token_budget_truncates_and_the_program_is_judged(make: Any) -> None:
    env = make(max_new_tokens=len(REST))
    env.reset(options={"problem_id": "sign"})
    _, reward, terminated, truncated, info = write(env, REST, end=False)
    assert (reward, terminated, truncated, info["verdict"]) == (1.0, False, True, "accepted")


def test_full_context_truncates(make: Any) -> None:
    env = make()
    _, info = env.reset(options={"problem_id": "sign"})
    env = make(context_length=info["start_length"] + 4)
    env.reset(options={"problem_id": "sign"})
    flags = [env.step(10)[2:4] for _ in range(4)]
    assert flags == [(False, False)] * 3 + [(False, True)]


def test_an_end_token_on_the_last_place_terminates_only(make: Any) -> None:
    env = make(max_new_tokens=1)
    env.reset(options={"problem_id": "sign"})
    assert env.step(env.tokenizer.end_id)[2:4] == (True, False)


def test_stop_sequences_end_the_program_before_them(make: Any) -> None:
    from codegym.envs import CompletionFormat

    env = make(prompt_format=CompletionFormat(stop=("\nprint", "\ndef")))
    _, start = env.reset(options={"problem_id": "sign"})
    text = REST.rstrip("\n") + "\nprint"
    _, reward, terminated, _, info = write(env, text + "(1)", end=False)
    assert (reward, terminated) == (1.0, True)
    assert info["program"] == SIGN.canonical_solution.rstrip("\n")
    # The stop sequence is the decision to end: its tokens may be learned.
    end = start["start_length"] + len(text)
    assert info["loss_mask"][start["start_length"] : end].all()
    assert info["loss_mask"][end:].sum() == 0


def test_same_seed_and_actions_give_the_same_episode(make: Any) -> None:
    def episode() -> list[Any]:
        env = make(start="uniform")
        steps: list[Any] = [env.reset(seed=7)]
        rng = np.random.default_rng(0)
        steps += [env.step(int(rng.integers(97, 110))) for _ in range(20)]
        steps.append(env.step(env.tokenizer.end_id))
        steps.append(env.reset())
        return steps

    np.testing.assert_equal(episode(), episode())


def test_saved_states_are_exact(make: Any) -> None:
    env = make(start="uniform")
    env.reset(seed=3, options={"problem_id": "sign"})
    for token in env.tokenizer.encode("    if "):
        env.step(token)
    state = env.save_state()

    def finish(one: CodeEnv) -> list[Any]:
        return [write(one, "x:\n        return 1\n"), one.reset(), one.reset()]

    first = finish(env)
    env.restore_state(state)
    np.testing.assert_equal(finish(env), first)
    other = make(start="uniform")
    _, info = other.restore_state(state)
    assert info["problem_id"] == "sign"
    np.testing.assert_equal(finish(other), first)


def test_saved_states_are_equal_when_they_hold_the_same(make: Any) -> None:
    env = make()
    env.reset(seed=0, options={"problem_id": "sign"})
    first = env.save_state()
    write(env, REST)
    last = env.save_state()
    for state in (first, last):
        assert state == pickle.loads(pickle.dumps(state))
        assert state != dataclasses.replace(state, token_ids=state.token_ids + 1)
        assert state != "a state"
    assert first != last
    info = {**last.outcome.info, "loss_mask": 1 - last.outcome.info["loss_mask"]}
    other = dataclasses.replace(last.outcome, info=info)
    assert last != dataclasses.replace(last, outcome=other)


@pytest.mark.parametrize("state", ["x", None, {}])
def test_what_is_no_saved_state_is_refused(make: Any, state: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"what save_state\(\) returned"):
        make().restore_state(state)


def test_saved_states_of_another_environment_are_refused(make: Any) -> None:
    env = make()
    env.reset(seed=0, options={"problem_id": "sign"})
    state = pickle.loads(pickle.dumps(env.save_state()))
    with pytest.raises(ConfigurationError, match="another tokenizer"):
        make(tokenizer="mini").restore_state(state)
    with pytest.raises(ConfigurationError, match=r"'sign'.*not in this environment's problems"):
        make(problems=ProblemSet.of([ECHO])).restore_state(state)
    changed = dataclasses.replace(SIGN, tests=SIGN.tests[:1])
    with pytest.raises(ConfigurationError, match="another problem 'sign'"):
        make(problems=ProblemSet.of([changed])).restore_state(state)
    same = make(problems=ProblemSet.of([ECHO, dataclasses.replace(SIGN)]))
    assert same.restore_state(state)[1]["problem_id"] == "sign"


def test_tokenizers_of_one_size_that_spell_differently_are_told_apart(make: Any) -> None:
    class Reversed(ByteTokenizer):
        def encode(self, text: str) -> list[int]:
            return [255 - token for token in super().encode(text)]

        def token_bytes(self, token_id: int) -> bytes:
            return super().token_bytes(255 - token_id if token_id < 256 else token_id)

        def decode(self, token_ids: Any) -> str:
            return super().decode([255 - token for token in token_ids])

    env = make()
    env.reset(seed=0)
    with pytest.raises(ConfigurationError, match="another tokenizer"):
        make(tokenizer=Reversed()).restore_state(env.save_state())


def test_a_state_saved_after_the_end_stays_ended(make: Any) -> None:
    env = make(render_mode="ansi")
    env.reset(seed=0, options={"problem_id": "sign"})
    write(env, REST)
    state = env.save_state()
    env.reset()
    env.restore_state(state)
    assert "accepted" in (env.render() or "")
    with pytest.raises(ResetNeededError, match="after the episode ended"):
        env.step(1)


def test_literal_prefixes_as_text_and_tokens(make: Any) -> None:
    env = make()
    prefix = REST[:17]
    for given in (prefix, env.tokenizer.encode(prefix), np.array(env.tokenizer.encode(prefix))):
        _, info = env.reset(options={"problem_id": "sign", "prefix": given})
        assert info["stage"] == -1
        assert write(env, REST[17:])[1] == 1.0
    own = "    return (x > 0) - "
    env.reset(options={"problem_id": "sign", "prefix": own, "check_prefix": False})
    assert write(env, "(x < 0)\n")[1] == 1.0


def test_only_drawn_start_states_move_the_curriculum(make: Any) -> None:
    from codegym.start_states import CurriculumOfSubtasks

    curriculum = CurriculumOfSubtasks(threshold=0.5, alpha=1.0)
    env = make(start=curriculum)
    second = "    if x < 0:\n        return -1\n    return 0\n"
    env.reset(options={"problem_id": "sign", "stage": 1})
    write(env, second)
    assert env.reset(options={"problem_id": "sign"})[1]["stage"] == 1
    *_, info = write(env, second)
    assert info["curriculum"] == {"stage": 0, "num_stages": 2, "success_rate": 0.0}
    assert env.reset(options={"problem_id": "sign"})[1]["stage"] == 0


def test_problems_are_drawn_in_proportion_to_their_stages(make: Any) -> None:
    env = make(start="cccs")  # "sign" has two stages, "echo" one
    env.reset(seed=0)
    drawn = [env.reset()[1]["problem_id"] for _ in range(600)]
    assert abs(drawn.count("sign") - 400) < 50
    env = make(start="cccs", sampler="uniform")
    env.reset(seed=0)
    drawn = [env.reset()[1]["problem_id"] for _ in range(600)]
    assert abs(drawn.count("sign") - 300) < 50


def test_rendering_marks_lines_boundary_and_verdict(make: Any) -> None:
    env = make(start="cccs", render_mode="ansi")
    assert env.render() is None
    env.reset(options={"problem_id": "sign", "stage": 1})
    write(env, "    if x > 99:\n        return 7\n    return -1\n")
    lines = (env.render() or "").splitlines()
    assert "stage 1 of 2" in lines[0]
    assert "given above" in lines[4]
    assert ["●" in line for line in lines[1:4] + lines[5:8]] == [True] * 4 + [False, True]
    assert "wrong_answer" in lines[-1]
    assert "2/3" in lines[-1]


BAD_OPTIONS: list[tuple[dict[str, Any], type[CodegymError], str]] = [
    ({"problem_id": "sing"}, UnknownNameError, "Did you mean 'sign'"),
    ({"problem_id": 3}, ConfigurationError, "must be a str"),
    ({"problem_id": "sign", "stage": 9}, StartStateError, "stages 0 to 0"),
    ({"problem_id": "sign", "stage": "1"}, StartStateError, "got '1'"),
    ({"problem_id": "sign", "prefix": "x = 1"}, StartStateError, "not a prefix"),
    ({"problem_id": "sign", "prefix": [9999]}, StartStateError, "token ids from 0"),
    ({"problem_id": "sign", "prefix": 3.5}, ConfigurationError, "sequence of token ids"),
    ({"prefix": "", "stage": 0}, ConfigurationError, "either"),
    ({"problem": "sign"}, UnknownNameError, "Did you mean 'problem_id'"),
    (
        {"problem_id": "sign", "prefix": "#" * 700, "check_prefix": False},
        ContextLengthError,
        "context",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_reset_options(make: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make().reset(options=options)


@pytest.mark.parametrize("options", ["abc", "", 5, [("a", 1)], []])
def test_options_that_are_no_mapping(make: Any, problems: ProblemSet, options: Any) -> None:
    envs = CodeVectorEnv(2, problems=problems, tokenizer="byte")
    for reset in (make().reset, envs.reset):
        with pytest.raises(ConfigurationError, match=r"options must be a mapping .* got"):
            reset(options=options)
    envs.close()


@pytest.mark.parametrize("action", [-1, 10**6, 1.5, "a", None, True, np.array([1]), np.float64(3)])
def test_actions_outside_the_space(make: Any, action: Any) -> None:
    env = make()
    env.reset()
    with pytest.raises(InvalidActionError, match="token id"):
        env.step(action)
    env.step(np.int64(65))  # the episode goes on
    env.step(np.array(65))


def test_steps_out_of_order(make: Any) -> None:
    env = make()
    with pytest.raises(ResetNeededError, match="before the first"):
        env.step(1)
    with pytest.raises(ResetNeededError, match="no episode"):
        env.save_state()
    env.reset()
    env.step(env.tokenizer.end_id)
    with pytest.raises(ResetNeededError, match="after the episode ended"):
        env.step(1)
    env.close()
    env.close()
    with pytest.raises(ClosedError):
        env.reset()


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[CodegymError], str]] = [
    ({"max_new_tokens": 0}, ConfigurationError, "positive int"),
    ({"context_length": "600"}, ConfigurationError, "positive int"),
    ({"sampler": "stage"}, UnknownNameError, "Did you mean 'stages'"),
    ({"reward": "stepcoders"}, UnknownNameError, "stepcoder"),
    ({"start": "cccss"}, UnknownNameError, "cccs"),
    ({"start": "CCCS"}, UnknownNameError, "Did you mean 'cccs'"),
    ({"tokenizer": "bytes"}, UnknownNameError, "byte"),
    ({"prompt_format": "completions"}, UnknownNameError, "completion"),
    ({"toknizer": "byte"}, UnknownNameError, "Did you mean 'tokenizer'"),
    ({"split": "train"}, ConfigurationError, "either"),
    ({"limits": {"cpu": 1}}, ConfigurationError, "either"),
    ({"limits": {"cpu": 1}, "grader": None}, UnknownNameError, "cpu_seconds"),
    ({"limits": {"cpu_seconds": 0}, "grader": None}, ConfigurationError, "positive"),
    ({"grader": "g"}, ConfigurationError, "grader must be a codegym.Grader, got str"),
    ({"grader": 0}, ConfigurationError, "grader must be a codegym.Grader, got int"),
    ({"render_mode": "human"}, RenderModeError, "ansi"),
    ({"problems": [SIGN]}, ConfigurationError, "ProblemSet"),
    ({"problems": ProblemSet.of([])}, ConfigurationError, "no problem to draw"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(make: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make(**arguments)


def test_a_context_shorter_than_the_prompt(make: Any) -> None:
    env = make(context_length=10)
    with pytest.raises(ContextLengthError, match="Raise context_length"):
        env.reset(options={"problem_id": "sign"})


@pytest.mark.parametrize("form", [None, "outcome", "online"])
def test_an_interrupted_last_step_may_be_taken_again(
    make: Any, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    reward: Any = "stepcoder" if form is None else process_reward(form)
    text = "    y = 1\n    return y"
    expected = make(reward=reward, start="cccs")
    expected.reset(seed=0, options={"problem_id": "sign"})
    last = write(expected, text)
    env = make(reward=reward, start="cccs")
    env.reset(seed=0, options={"problem_id": "sign"})
    before = write(env, text, end=False)[0]
    state = env.save_state()
    with monkeypatch.context() as patched:
        patched.setattr(Future, "result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            env.step(env.tokenizer.end_id)
    assert env.save_state() == state
    np.testing.assert_equal(env._observation(True), before)
    np.testing.assert_equal(env.step(env.tokenizer.end_id), last)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("start", ["cccs", "uniform", "lines", "jsrl"])
def test_starts_that_need_solutions_warn_where_there_are_none(make: Any, start: str) -> None:
    without = ProblemSet.of([dataclasses.replace(SIGN, canonical_solution="")])
    with pytest.warns(StartStateWarning, match="none of the 1 problems") as caught:
        env = make(problems=without, start=start)
    assert len(caught) == 1
    assert env.reset(seed=0)[1]["stage"] >= 0
    given: Any = JumpStart(guide=lambda _: "    return 0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(start=start)  # one problem with a solution is enough
        make(problems=ProblemSet.of([*without, ECHO]), start=start)
        make(problems=without, start=given)
        make(problems=without)


def test_a_fault_of_ours_is_an_exception_and_no_reward(problems: ProblemSet) -> None:
    def fail(_request: Request) -> NoReturn:
        raise WorkerError("the machine is on fire")

    env = CodeEnv(problems=problems, executor=FakeExecutor(fail), tokenizer=ByteTokenizer())
    env.reset()
    with pytest.raises(WorkerError, match="fire"):
        env.step(env.tokenizer.end_id)
