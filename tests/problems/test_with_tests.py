"""Some of a problem's tests: which, and that an environment judges with them alone."""

from __future__ import annotations

import pickle

import gymnasium
import pytest

from codegym.envs import CodeEnv
from codegym.errors import ConfigurationError
from codegym.problems import CallTest, Problem, ProblemSet, load_problems


def squares(name: str, count: int) -> Problem:
    tests = tuple(CallTest((x,), x * x) for x in range(count))
    return Problem(name, name, "def f(x):\n    return x * x\n", tests, entry_point="f")


def test_tests_are_some_of_all_in_their_order_and_problems_with_few_stay_as_they_are() -> None:
    whole = ProblemSet.of([squares("many", 10), squares("few", 2)])
    fewer = whole.with_tests(3)
    kept = [test.args for test in fewer.by_id("many").tests if isinstance(test, CallTest)]
    assert len(kept) == 3
    assert kept == sorted(kept)
    assert fewer[1] is whole[1]
    assert len(whole[0].tests) == 10
    assert fewer.ids == whole.ids
    assert fewer.take(1)[0] is fewer[0]


def test_the_choice_is_the_same_wherever_a_problem_stands_and_another_for_another_problem() -> None:
    problems = [squares(f"p{i}", 10) for i in range(30)]
    forward = ProblemSet.of(problems).with_tests(2)
    backward = pickle.loads(pickle.dumps(ProblemSet.of(problems[::-1]).with_tests(2)))
    assert all(forward.by_id(one.id) == backward.by_id(one.id) for one in problems)
    choices = {one.tests for one in forward}
    assert len(choices) > 15
    assert {test for one in choices for test in one} == set(problems[0].tests)  # each has its turn


@pytest.mark.parametrize("most", [0, -1, True, 1.0, "3"])
def test_numbers_without_meaning_are_refused(most: object) -> None:
    with pytest.raises(ConfigurationError, match="1 test or more"):
        ProblemSet.of([squares("p", 2)]).with_tests(most)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="tests must be a positive int"):
        gymnasium.make("CodeGen-Mini-v0", tests=most)


def test_an_environment_judges_with_the_tests_that_are_shown_alone() -> None:
    """A table of the shown answers is a solution in training and none on all tests."""
    problems = load_problems("mini", size=1)
    shown = problems.with_tests(2)[0].tests
    table = {repr(test.args): test.expected for test in shown if isinstance(test, CallTest)}
    names = problems[0].starter_code.partition("def f(")[2].partition(")")[0]
    program = f"    return {table!r}.get(repr(({names},)))\n"
    seen = {}
    for tests in (2, None):
        env = gymnasium.make(
            "CodeGen-Mini-v0", problems=problems, tests=tests, tokenizer="byte", context_length=2048
        )
        with env:
            assert isinstance(env.unwrapped, CodeEnv)
            env.reset(seed=0)
            for token in (*program.encode(), env.unwrapped.tokenizer.end_id):
                *_, info = env.step(token)
            seen[tests] = info["verdict"], info["tests_total"]
    assert seen == {2: ("accepted", 2), None: ("wrong_answer", len(problems[0].tests))}
