"""A problem's checker: asked in the sandbox, never near the program, and what its failures mean."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from codegym.errors import ExecutionError, RequestTooLargeError, WorkerError
from codegym.execution import (
    Call,
    EncodedAnswer,
    ExecutionLimits,
    ExitReason,
    FakeExecutor,
    LocalExecutor,
    Observation,
    Request,
    Result,
    Stdin,
    encode_value,
    wire,
)
from codegym.execution.serialization import pack_request
from codegym.grading import Grader, Verdict, checking
from codegym.problems import BinaryTree, CallTest, Checker, LinkedList, Problem, StdinTest
from codegym.serving import ServiceLimits

LIMITS = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3600.0, memory_bytes=128 * 2**20)
CHECKER_LIMITS = ExecutionLimits(
    cpu_seconds=1.0, wall_seconds=3600.0, memory_bytes=128 * 2**20, output_bytes=2**16
)

SUM = Checker(
    "def check(input, output, expected):\n"
    "    a, b = map(int, output.split())\n"
    "    return a + b == int(input)\n"
)
SUM_SCRIPT = Checker(
    "import sys\n"
    "def main():\n"
    "    given, right, output = (open(name).read() for name in sys.argv[1:])\n"
    "    a, b = map(int, output.split())\n"
    "    print(int(a + b == int(given)))\n"
    "if __name__ == '__main__':\n"
    "    main()\n",
    "script",
)
SUMS = (StdinTest("7\n", "3 4\n"), StdinTest("9\n", "1 8\n"))
RIGHT = "n = int(input())\nprint(n + 5, -5)"


class Recording(LocalExecutor):
    """Notes what it is asked to run."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.requests: list[Request] = []

    def submit(self, request: Request) -> Future[Result]:
        self.requests.append(request)
        return super().submit(request)


@pytest.fixture(scope="module", name="executor")
def fixture_executor() -> Iterator[Recording]:
    with Recording() as made:
        yield made


@pytest.fixture(name="grader")
def fixture_grader(executor: Recording, monkeypatch: pytest.MonkeyPatch) -> Grader:
    monkeypatch.setattr(checking, "LIMITS", CHECKER_LIMITS)
    executor.requests.clear()
    return Grader(executor, LIMITS)


def asked(checker: Checker, *tests: Any, **options: Any) -> Problem:
    return Problem("p", "", "", tests or SUMS, checker=checker, **options)


def called(source: str, *tests: CallTest) -> Problem:
    return asked(Checker(source), *tests, entry_point="f")


@pytest.mark.parametrize("checker", [SUM, SUM_SCRIPT], ids=["function", "script"])
def test_both_forms_say_which_answers_are_right(checker: Checker, grader: Grader) -> None:
    problem = asked(checker)
    right = grader.grade(problem, RIGHT)
    assert (right.verdict, right.tests_passed, right.tests_total) == (Verdict.ACCEPTED, 2, 2)
    wrong = grader.grade(problem, "print(3, 4)")
    assert (wrong.verdict, wrong.tests_passed) == (Verdict.WRONG_ANSWER, 1)
    assert "rejects the answer '3 4\\n'" in str(wrong.error_message)


def test_the_three_texts_arrive_as_they_are(grader: Grader) -> None:
    problem = asked(
        Checker("def check(input, output, expected):\n    return [input, output, expected] == ALL\n"
                "ALL = ['\\ud800\\r\\n', 'a\\r\\n\\u00e9\\n', 'x\\r']"),
        StdinTest("\ud800\r\n", "x\r"),
    )  # fmt: skip
    program = "import sys\nsys.stdout.buffer.write('a\\r\\n\u00e9\\n'.encode())"
    assert grader.grade(problem, program).solved


@pytest.mark.parametrize("checker", [SUM, SUM_SCRIPT], ids=["function", "script"])
@pytest.mark.parametrize(
    "output", ["", "x", "1", "nan nan", "\0", "9" * 5000 + " 1", "7 7 7", "1" * 2**15]
)
def test_no_output_can_make_the_grader_raise(checker: Checker, output: str, grader: Grader) -> None:
    grade = grader.grade(asked(checker), f"print({output!r})")
    assert grade.verdict is Verdict.JUDGE_ERROR
    assert not grade.judged
    assert not grade.solved
    assert grade.tests_passed == 0
    assert grade.error_type == "ValueError"
    assert grade.error_line == (2 if checker is SUM else 4)
    assert "No" not in grade.verdict.value


def test_a_failure_of_the_program_outweighs_one_of_the_checker(grader: Grader) -> None:
    wrong = grader.grade(asked(SUM), "print('x' if input() == '7' else '1 1')")
    assert [test and test.verdict for test in wrong.tests] == [
        Verdict.JUDGE_ERROR,
        Verdict.WRONG_ANSWER,
    ]
    assert wrong.verdict is Verdict.WRONG_ANSWER
    unknown = grader.grade(asked(SUM), "n = input()\nprint('x' if n == '7' else '1 8')")
    assert (unknown.verdict, unknown.tests_passed) == (Verdict.JUDGE_ERROR, 1)


FAULTS = {
    "loops": ("while True: pass", "CPU time"),
    "raises": ("raise KeyError('k')", "ended with KeyError"),
    "exits": ("import sys; sys.exit(0)", "ended with SystemExit"),
    "leaves": ("import os; os._exit(0)", "was killed, or left"),
    "is killed": ("import os; os.abort()", "was killed, or left"),
    "returns nothing": ("return None", "returned None, where it must return True or False"),
    "returns 1": ("return 1", "returned 1"),
    "returns text": ("return 'True'", "returned 'True'"),
    "returns an object": ("return object()", "returned Opaque(type_name='object')"),
    "floods": ("print('x' * 10**6); return True", "printed or returned more"),
    "fills memory": ("x = bytearray(10**9); return True", "more memory"),
    "recurses": ("return check(input, output, expected)", "ended with RecursionError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checker_that_fails_is_no_verdict(fault: str, grader: Grader) -> None:
    body, said = FAULTS[fault]
    problem = asked(Checker(f"def check(input, output, expected):\n    {body}\n"), SUMS[0])
    grade = grader.grade(problem, RIGHT)
    assert grade.verdict is Verdict.JUDGE_ERROR
    assert grade.error_message is not None
    assert grade.error_message.startswith("The problem's checker ")
    assert said in grade.error_message
    assert grader.grade(asked(SUM), RIGHT).solved  # whatever came before


@pytest.mark.parametrize("when", ["raise OSError", "import no_such_module"])
def test_a_checker_that_cannot_be_loaded_is_no_verdict(when: str, grader: Grader) -> None:
    grade = grader.grade(asked(Checker(f"{when}\n{SUM.source}")), RIGHT)
    assert grade.verdict is Verdict.JUDGE_ERROR
    assert [test and test.verdict for test in grade.tests] == [Verdict.JUDGE_ERROR] * 2


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("print(1)", Verdict.ACCEPTED),
        ("import sys\nprint(' 1 ')\nsys.exit()", Verdict.ACCEPTED),
        ("import os\nos.write(1, b'1')", Verdict.ACCEPTED),
        ("print(0)", Verdict.WRONG_ANSWER),
        ("print('1 of 2 lines differ')", Verdict.WRONG_ANSWER),
        ("import sys\nprint(1)\nsys.exit(1)", Verdict.WRONG_ANSWER),
        ("import sys\nsys.exit('no')", Verdict.WRONG_ANSWER),
        ("x = 1", Verdict.JUDGE_ERROR),
        ("print(1)\n1 / 0", Verdict.JUDGE_ERROR),
        ("import os\nprint(1, flush=True)\nos._exit(0)", Verdict.ACCEPTED),
        ("import os\nprint(1)\nos._exit(0)", Verdict.JUDGE_ERROR),
        ("import atexit\natexit.register(print, 1)", Verdict.ACCEPTED),
        ("import atexit\nprint(1)\natexit.register(print, 0)", Verdict.WRONG_ANSWER),
        ("import threading as t\nt.Timer(0.01, print, [1]).start()", Verdict.ACCEPTED),
        ("class A:\n    __del__ = lambda self: print(1)\na = A()", Verdict.ACCEPTED),
        ("import sys\nsys.stdout = open('x', 'w')\nprint(1)", Verdict.JUDGE_ERROR),
        ("if __name__ == '__main__': print(1)", Verdict.ACCEPTED),
        ("from __future__ import annotations\nprint(1)", Verdict.ACCEPTED),
        ("import sys\nprint(int(vars(sys.modules['__main__']) is globals()))", Verdict.ACCEPTED),
    ],
)
def test_what_a_script_says(source: str, verdict: Verdict, grader: Grader) -> None:
    grade = grader.grade(asked(Checker(source, "script"), SUMS[0]), RIGHT)
    assert grade.verdict is verdict


def test_a_script_finds_what_it_finds_on_a_command_line(grader: Grader) -> None:
    source = (
        "import sys, dataclasses, pathlib\n"
        "@dataclasses.dataclass\n"
        "class One:\n"
        "    x: 'int'\n"
        "names = ['input.txt', 'correct_output.txt', 'solution_output.txt']\n"
        "texts = [pathlib.Path(name).read_text() for name in names]\n"
        "assert sys.argv == ['checker.py', *names], sys.argv\n"
        "assert sys.modules[One.__module__].One is One\n"
        "assert sys.stdin.read() == ''\n"
        "print(int(texts == ['7\\n', '3 4\\n', '12 -5\\n']))\n"
    )
    grade = grader.grade(asked(Checker(source, "script"), SUMS[0]), RIGHT)
    assert grade.verdict is Verdict.ACCEPTED, grade.error_message


@pytest.mark.parametrize("checker", [SUM, SUM_SCRIPT], ids=["function", "script"])
def test_output_that_forges_is_only_text(checker: Checker, grader: Grader) -> None:
    source = checker.source.replace("a, b = map(int, output.split())", "a, b = 0, 0")
    problem = asked(Checker(source, checker.form), SUMS[0])
    for output in ("1", "True", "true", "1\n1", '{"i": "0x1"}', "1 1", "\n1\n"):
        assert grader.grade(problem, f"print({output!r})").verdict is Verdict.WRONG_ANSWER


def test_a_checker_may_print(grader: Grader) -> None:
    source = "def check(input, output, expected):\n    print(0)\n    return True"
    assert grader.grade(asked(Checker(source)), "pass").solved


def test_the_checker_sees_no_program_and_the_program_no_answer(
    grader: Grader, executor: Recording
) -> None:
    program = "n = int(input())\nprint(n, 0)  # of the program's own"
    assert grader.grade(asked(SUM, StdinTest("7\n", "a secret answer")), program).solved
    first, second = executor.requests
    assert "secret" not in repr(first)
    assert first.inputs == (Stdin("7\n"),)
    assert "program's own" not in repr(second)
    assert second.inputs == (Call(("7\n", "7 0\n", "a secret answer")),)


def test_nothing_of_a_checker_is_left_for_the_next_program(grader: Grader) -> None:
    test = StdinTest("7\n", "a secret answer")
    spy = (
        "import gc, os\n"
        "secret = ' '.join(['a', 'secret', 'answer'])\n"
        "found = [o for o in gc.get_objects() if isinstance(o, (list, tuple)) and\n"
        "         any(isinstance(x, str) and secret in x for x in o)]\n"
        "print(sorted(os.listdir('.')), len(found))\n"
    )
    script = Checker("import sys\nprint(int('secret' in open(sys.argv[2]).read()))", "script")
    before = grader.grade(asked(script, test), "print(1)")
    assert before.solved
    there = "def check(input, output, expected):\n    return output == '[] 0\\n'"
    after = grader.grade(asked(Checker(there), test), spy)
    assert after.solved, after.error_message


def test_all_answers_of_a_program_are_one_request(grader: Grader, executor: Recording) -> None:
    tests = tuple(StdinTest(f"{n}\n", "") for n in range(20))
    program = f"n = int(input())\nif n == 4: raise OSError\n{RIGHT.replace('int(input())', 'n')}"
    grade = grader.grade(asked(SUM, *tests), program)
    assert (grade.tests_passed, grade.verdict) == (19, Verdict.RUNTIME_ERROR)
    assert [len(request.inputs) for request in executor.requests] == [20, 19]
    assert grader.grade(asked(SUM, *tests), program) is grade
    assert len(executor.requests) == 2  # the grade was kept


def test_no_checker_is_asked_where_there_is_no_answer(grader: Grader, executor: Recording) -> None:
    assert grader.grade(asked(SUM), "1 / 0").verdict is Verdict.RUNTIME_ERROR
    assert len(executor.requests) == 1


@pytest.mark.parametrize(
    ("bad", "verdict", "run"),
    [
        ("print('1 2')", Verdict.WRONG_ANSWER, 3),
        ("1 / 0", Verdict.RUNTIME_ERROR, 3),
        ("print('x')", Verdict.JUDGE_ERROR, 8),  # whether it is right is not known: it goes on
    ],
)
def test_the_grader_stops_at_the_first_test_that_is_known_to_fail(
    bad: str, verdict: Verdict, run: int, executor: Recording, grader: Grader
) -> None:
    stopping = Grader(executor, LIMITS, stop_at_first_failure=True)
    tests = tuple(StdinTest(f"{n}\n", "") for n in range(8))
    program = f"n = int(input())\nif n == 2:\n    {bad}\nelse: print(n, 0)\n"
    grade = stopping.grade(asked(SUM, *tests), program)
    assert (grade.verdict, grade.tests_run) == (verdict, run)
    assert grade.tests_passed == run - 1
    assert grade.executed_lines == frozenset(range(1, 5))


def test_a_wrong_answer_comes_before_a_later_crash(executor: Recording, grader: Grader) -> None:
    stopping = Grader(executor, LIMITS, stop_at_first_failure=True)
    tests = tuple(StdinTest(f"{n}\n", "") for n in range(4))
    program = "n = int(input())\nif n == 2: 1 / 0\nprint(n, int(n == 1))\n"
    grade = stopping.grade(asked(SUM, *tests), program)
    assert (grade.verdict, grade.tests_run, grade.tests_passed) == (Verdict.WRONG_ANSWER, 2, 1)


VALUES = "def check(input, output, expected):\n    return {}\n"


@pytest.mark.parametrize(
    ("returned", "seen"),
    [
        ("[1, (2, 3)]", "[1, (2, 3)]"),
        ("{1: {2.5}, 'k': None}", "{1: {2.5}, 'k': None}"),
        ("(i for i in range(3))", "[0, 1, 2]"),
        ("{1: 2}.items()", "[(1, 2)]"),
        ("10**30", "10**30"),
        ("b'\\xff'", "b'\\xff'"),
        ("'\\ud800'", "'\\ud800'"),
        ("list(range(50_000))", "list(range(50_000))"),
        ("True", "True"),
    ],
)
def test_returned_values_arrive_as_what_they_are(returned: str, seen: str, grader: Grader) -> None:
    source = VALUES.format(f"(output, type(output)) == ({seen}, type({seen}))")
    program = f"def f(x): return {returned}"
    assert grader.grade(called(source, CallTest((1,), 2)), program).solved


def test_arguments_and_expected_value_arrive_with_their_nodes(grader: Grader) -> None:
    source = VALUES.format(
        "isinstance(input, tuple) and input[0].next.val == 2 and output.val == 5 "
        "and expected.left.val == 4 and input[1] == {(1,): [2]}"
    )
    test = CallTest((LinkedList((1, 2)), {(1,): [2]}), BinaryTree((3, 4)))
    program = "def f(a, b):\n    b.clear()\n    return ListNode(5)"
    grade = grader.grade(called(source, test), program)
    assert grade.verdict is Verdict.ACCEPTED, grade.error_message


@pytest.mark.parametrize("returned", ["object()", "[object()]", "f", "{'x': [f]}"])
def test_what_is_no_data_is_a_wrong_answer(returned: str, grader: Grader) -> None:
    grade = grader.grade(
        called(VALUES.format("True"), CallTest((1,), 2)), f"def f(x): return {returned}"
    )
    assert grade.verdict is Verdict.WRONG_ANSWER
    assert "no plain data" in str(grade.error_message)


@pytest.mark.parametrize(
    "answer", [b"", b"\xff\xfe", b"[", b'{"E": "1"}', b'{"o": "x"}', b"[" * 3000, b'{"i": 3}']
)
def test_a_forged_answer_is_a_wrong_answer(answer: bytes, executor: Recording) -> None:
    request = Request(
        VALUES.format("True"), (Call((1, EncodedAnswer(answer), 2)),), "check", coverage=False
    )
    (seen,) = executor.run(request).observations
    answered = Observation(ExitReason.FINISHED, answer=answer)
    grade = checking.graded_by(SUM, CallTest((1,), 2), answered, seen)
    assert grade.verdict is Verdict.WRONG_ANSWER


def test_requests_can_be_pickled() -> None:
    """As Ray does."""
    answers = [(CallTest((1,), 2), Observation(ExitReason.FINISHED, answer=b"2"))]
    request = checking.checker_request(asked(SUM), SUM, answers, 100)
    assert pickle.loads(pickle.dumps(request)) == request


def answering(*said: Any) -> FakeExecutor:
    """Answers `print(1)` with "1", and a checker with what is said."""
    queue = list(said)

    def observe(request: Request) -> list[Observation]:
        if request.program == "print(1)":
            return [Observation(ExitReason.FINISHED, stdout="1") for _ in request.inputs]
        told = queue.pop(0)
        if isinstance(told, Exception):
            raise told
        return list(told)

    return FakeExecutor(observe)


YES = Observation(ExitReason.FINISHED, answer=encode_value(True))


def test_a_fake_executor_answers_for_the_checker_as_well() -> None:
    assert Grader(answering([YES, YES])).grade(asked(SUM), "print(1)").solved


def test_a_fault_of_the_machine_is_raised_and_not_kept() -> None:
    grader = Grader(answering(WorkerError("dead"), [YES, YES]))
    with pytest.raises(WorkerError, match="dead"):
        grader.grade(asked(SUM), "print(1)")
    assert grader.grade(asked(SUM), "print(1)").solved


def test_an_executor_that_forgets_an_answer_is_at_fault() -> None:
    with pytest.raises(ExecutionError, match="reported on 1 of 2 tests"):
        Grader(answering([YES])).grade(asked(SUM), "print(1)")
    finished = Observation(ExitReason.FINISHED)
    with pytest.raises(ExecutionError, match="no answer"):
        Grader(answering([finished, finished])).grade(asked(SUM), "print(1)")


def test_a_checker_that_was_taken_over_can_leave_no_more_than_an_answer() -> None:
    """One that evaluates what a program prints gives its own process away, and that alone."""
    for answer in (b"\xff", b"[" * 10**5, b'{"D":"sNaN"}', b"1" * 10**6, b'{"s":[[]]}'):
        forged = Observation(ExitReason.FINISHED, answer=answer)
        grade = Grader(answering([forged, forged])).grade(asked(SUM), "print(1)")
        assert grade.verdict is Verdict.JUDGE_ERROR


def test_long_texts_reach_a_script(grader: Grader) -> None:
    source = "import sys\nprint(int(len(open(sys.argv[3]).read()) == 2_000_001))"
    problem = asked(Checker(source, "script"), StdinTest("", "é" * 2_000_000))
    grade = grader.grade(problem, "print('é' * 2_000_000)")
    assert grade.verdict is Verdict.ACCEPTED, grade.error_message


def test_a_checker_may_import_what_its_problem_names(grader: Grader, executor: Recording) -> None:
    pytest.importorskip("numpy")
    source = f"import numpy\n{SUM.source}"
    assert grader.grade(asked(Checker(source), packages=("numpy",)), RIGHT).solved
    assert grader.grade(asked(Checker(source)), RIGHT).verdict is Verdict.JUDGE_ERROR


def test_it_runs_in_no_process_of_ours(grader: Grader) -> None:
    source = (
        "import os\n"
        "def check(input, output, expected):\n"
        "    raise OSError(f'{os.getpid()} {os.getppid()}')\n"
    )
    grade = grader.grade(asked(Checker(source), SUMS[0]), RIGHT)
    pids = set(map(int, re.findall(r"\d+", str(grade.error_message))))
    assert pids
    assert os.getpid() not in pids


FINISHED = ExitReason.FINISHED
MIB = 2**20


def printing(text: str, taken: Callable[[Request], bool] = lambda _: True) -> FakeExecutor:
    """Prints a text on every test; the checker says yes. Refuses requests that are not taken."""

    def observe(request: Request) -> list[Observation]:
        if not taken(request):
            raise RequestTooLargeError("too large")
        seen = YES if request.program == SUM.source else Observation(FINISHED, stdout=text)
        return [seen] * len(request.inputs)

    return FakeExecutor(observe)


@pytest.mark.parametrize("character", ["a", "\0", '"', "\\", "\x7f", "é", "\ufffd", "\U0001f600"])
@pytest.mark.parametrize("checker", [SUM, SUM_SCRIPT], ids=["function", "script"])
def test_much_that_is_printed_goes_to_several_requests(character: str, checker: Checker) -> None:
    text = character * (MIB // len(character.encode()))
    answers = [(StdinTest("7", text), Observation(FINISHED, stdout=text)) for _ in range(9)]
    sizes = [checking.question_bytes(test) + checking.answer_bytes(seen) for test, seen in answers]
    count = checking.fitting(sizes)
    assert 1 < count < len(answers)
    request = checking.checker_request(asked(checker), checker, answers[:count], 100)
    assert len(pack_request(request)) < ServiceLimits().body_bytes


@pytest.mark.parametrize("answer", [b"\0" * MIB, b'"' * MIB, b"\xff" * MIB, b'"\\ud800' * 2**17])
def test_much_that_is_returned_goes_to_several_requests(answer: bytes) -> None:
    seen = Observation(FINISHED, answer=answer)
    test = CallTest((answer.decode("latin-1"),), answer)
    count = checking.fitting([checking.question_bytes(test) + checking.answer_bytes(seen)] * 99)
    request = checking.checker_request(asked(SUM), SUM, [(test, seen)] * count, 100)
    assert 1 <= count < 99
    assert len(pack_request(request)) < ServiceLimits().body_bytes


def test_every_answer_is_asked_about_once_in_order() -> None:
    tests = tuple(StdinTest(str(n), "") for n in range(12))
    executor = printing("x" * 3 * MIB)
    assert Grader(executor).grade(asked(SUM, *tests), "print(1)").tests_passed == 12
    asking = executor.requests[1:]
    assert [len(request.inputs) for request in asking] == [2] * 6
    given = [one.args[0] for request in asking for one in request.inputs if isinstance(one, Call)]
    assert given == [test.stdin for test in tests]


def test_what_an_executor_refuses_as_too_large_is_sent_in_smaller_parts() -> None:
    tests = tuple(StdinTest(str(n), "") for n in range(12))
    executor = printing("1", lambda request: len(request.inputs) <= 4)
    assert Grader(executor).grade(asked(SUM, *tests), "print(1)").tests_passed == 12


def test_an_answer_that_no_checker_can_be_given_is_no_verdict() -> None:
    executor = printing("1", lambda request: request.program != SUM.source)
    grade = Grader(executor).grade(asked(SUM), "print(1)")
    assert [test and test.verdict for test in grade.tests] == [Verdict.JUDGE_ERROR] * 2
    assert "too long to be sent" in str(grade.error_message)


def test_a_program_that_is_too_long_to_be_sent_is_a_compile_error() -> None:
    executor = printing("1", lambda request: len(request.program) < 10_000)
    grade = Grader(executor).grade(asked(SUM), "#" * 20_000)
    assert [test and test.verdict for test in grade.tests] == [Verdict.COMPILE_ERROR] * 2
    assert "too long" in str(grade.error_message)
    stopped = Grader(executor, stop_at_first_failure=True).grade(asked(SUM), "#" * 20_000)
    assert (stopped.verdict, stopped.tests_run) == (Verdict.COMPILE_ERROR, 1)


@pytest.mark.parametrize("padding", ["y" * 200_000, "\1" * 40_000, "\ud800" * 60_000])
def test_a_program_for_which_a_large_test_leaves_no_room_is_a_compile_error(padding: str) -> None:
    most = MIB

    def observe(request: Request) -> list[Observation]:
        if len(pack_request(request)) > most:
            raise RequestTooLargeError("too large", most)
        return [Observation(FINISHED, stdout="1")] * len(request.inputs)

    problem = Problem("large", "", "", (StdinTest("x" * 900_000, "1"),))
    grader = Grader(FakeExecutor(observe))
    assert grader.grade(problem, "print(1)").solved
    assert grader.grade(problem, f"print(1)\n#{padding}").verdict is Verdict.COMPILE_ERROR
    larger = Problem("larger", "", "", (StdinTest("x" * 2 * MIB, "1"),))
    with pytest.raises(RequestTooLargeError):
        grader.grade(larger, f"print(1)\n#{padding}")


def test_a_test_that_is_too_large_to_be_sent_is_an_error() -> None:
    executor = printing("1", lambda _: False)
    with pytest.raises(RequestTooLargeError):
        Grader(executor).grade(asked(SUM, StdinTest("7" * 10_000, "")), "print(1)")


def test_the_checker_is_asked_no_further_where_the_grader_stops() -> None:
    tests = tuple(StdinTest(str(n), "") for n in range(8))
    no = Observation(FINISHED, answer=encode_value(False))

    def observe(request: Request) -> list[Observation]:
        if request.program != SUM.source:
            return [Observation(FINISHED, stdout="x" * 5 * MIB)] * len(request.inputs)
        (given,) = request.inputs
        return [no if isinstance(given, Call) and given.args[0] == "4" else YES]

    executor = FakeExecutor(observe)
    grade = Grader(executor, stop_at_first_failure=True).grade(asked(SUM, *tests), "print(1)")
    assert (grade.verdict, grade.tests_run, grade.tests_passed) == (Verdict.WRONG_ANSWER, 5, 4)
    assert sum(request.program == SUM.source for request in executor.requests) == 5


def test_the_limits_of_a_checker_do_not_depend_on_what_is_printed() -> None:
    """A server may refuse limits, and a program must not be able to bring that about."""

    def limits_at(text: str, expected: str = "") -> ExecutionLimits:
        executor = printing(text)
        Grader(executor).grade(asked(SUM, StdinTest("7", expected)), "print(1)")
        return executor.requests[-1].limits

    assert limits_at("") == limits_at("x" * MIB)
    longest = limits_at("", "x" * (40 * MIB))
    ServiceLimits().check(longest)
    assert longest.file_bytes > 3 * 80 * MIB


@pytest.mark.parametrize(
    "parsed",
    [
        "[line.split() for line in text.splitlines()]",
        "[list(map(decimal.Decimal, line.split())) for line in text.splitlines()]",
    ],
)
def test_a_checker_may_split_the_longest_output(
    parsed: str, grader: Grader, executor: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for that comes from the length of the texts alone."""
    small = dataclasses.replace(CHECKER_LIMITS, cpu_seconds=3600.0, memory_bytes=2**24)
    monkeypatch.setattr(checking, "LIMITS", small)
    checker = Checker(
        "import decimal\n"
        "def check(input, output, expected):\n"
        f"    lists = [{parsed} for text in (input, output, expected)]\n"
        "    return lists[1] == lists[2] and len(lists[0]) > 0\n"
    )
    lines = "1\n" * (MIB // 4)
    program = f"print('1\\n' * {MIB // 4}, end='')"
    grade = grader.grade(asked(checker, StdinTest(lines, lines)), program)
    assert grade.verdict is Verdict.ACCEPTED, grade.error_message


def test_what_a_worker_cannot_take_at_once_goes_in_parts(
    grader: Grader, executor: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_MOST_BYTES", 3_000)
    tests = tuple(StdinTest(f"{n}{' ' * 1_000}\n", "") for n in range(4))
    assert grader.grade(asked(SUM, *tests), RIGHT).tests_passed == 4
    assert max(len(request.inputs) for request in executor.requests[-2:]) < 4
