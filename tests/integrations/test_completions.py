"""Grades of chat answers, and masks over their tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegym.errors import ConfigurationError, ExecutionError, TokenizationError, WorkerError
from codegym.execution import ExitReason, FakeExecutor, Observation, encode_value
from codegym.grading import Grade, Grader, Verdict
from codegym.integrations import (
    CompletionGrade,
    answer_text,
    decode_answer,
    grade_completion,
    grade_completion_async,
    mask_for,
)
from codegym.masks import loss_mask
from codegym.problems import CallTest, CodeTest, Problem
from codegym.programs import ExtractedProgram, Program
from codegym.tokenization import ByteTokenizer, MiniTokenizer

SIGN = Problem(
    "sign",
    "Return the sign of x.",
    "",
    (CallTest((5,), 1), CallTest((2,), 1)),
    entry_point="sign",
)
PROGRAM = "def sign(x):\n    if x < 0:\n        return -1\n    # über 0\n    return 1\n"
NOT_EXECUTED = "        return -1\n    # über 0\n"
BYTES = ByteTokenizer()


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


def broken(_: object) -> list[Observation]:
    raise WorkerError("the machine failed")


def masked_text(answer: str, mask: Sequence[int]) -> str:
    """What of an answer, spelled in bytes, has mask 0."""
    source = answer.encode("utf-8", "surrogateescape")
    left = bytes(byte for byte, value in zip(source, mask, strict=True) if not value)
    return left.decode("utf-8", "surrogateescape")


def made(program: str | None, lines: set[int]) -> CompletionGrade:
    """A grade by hand. Where the program is, mask_for() finds out again."""
    found = ExtractedProgram(program, ((0, len(program)),)) if program else None
    return CompletionGrade(Verdict.ACCEPTED, 1, 1, frozenset(lines), program=found)


def test_an_answer_is_graded_as_the_program_in_it(grader: Grader) -> None:
    answer = f"<think>Is 0 positive?\n```python\nx\n```</think>\nSo:\n```python\n{PROGRAM}```\n"
    grade = grade_completion(answer, SIGN, grader=grader)
    plain = grader.grade(SIGN, PROGRAM)
    assert grade.verdict is Verdict.ACCEPTED
    assert grade.executed_lines == plain.executed_lines == {1, 2, 5}
    assert grade.tests == plain.tests
    assert grade.program is not None
    assert grade.program.text == PROGRAM
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    assert grade_completion(messages, SIGN, grader=grader) == grade


def test_a_wrong_program_is_wrong_and_prose_does_not_compile(grader: Grader) -> None:
    wrong = grade_completion("```python\ndef sign(x):\n    return 0\n```", SIGN, grader=grader)
    assert (wrong.verdict, wrong.tests_passed) == (Verdict.WRONG_ANSWER, 0)
    prose = grade_completion("I cannot do that.", SIGN, grader=grader)
    assert (prose.verdict, prose.error_type) == (Verdict.COMPILE_ERROR, "SyntaxError")


def test_an_answer_without_program_is_a_compile_error_and_runs_nothing() -> None:
    executor = FakeExecutor(broken)
    counted = CodeTest("assert f(1)\nassert f(2)\n", "f", checks=(1, 2))
    problem = Problem("p", "", "", (counted, CallTest((1,), 1)), entry_point="f")
    grade = grade_completion("```cpp\nint x;\n```", problem, grader=Grader(executor))
    assert grade.verdict is Verdict.COMPILE_ERROR
    assert grade.program is None
    assert (grade.tests_passed, grade.tests_total, grade.tests_run) == (0, 3, 3)
    assert "holds no program" in str(grade.error_message)
    assert executor.requests == []


def test_a_program_that_the_prompt_begins_is_graded_with_its_beginning(grader: Grader) -> None:
    begun, rest = PROGRAM[:26], PROGRAM[26:]
    grade = grade_completion(f"{rest}```\n", SIGN, grader=grader, given=f"```python\n{begun}")
    assert grade.solved
    assert grade.program is not None
    assert grade.program.text == PROGRAM
    mask = mask_for(BYTES.encode(f"{rest}```\n"), BYTES, grade)
    assert masked_text(f"{rest}```\n", mask) == NOT_EXECUTED


def test_a_failure_of_the_machine_is_raised_and_is_no_grade() -> None:
    answer = f"```python\n{PROGRAM}```"
    with pytest.raises(ExecutionError, match="the machine failed"):
        grade_completion(answer, SIGN, grader=Grader(FakeExecutor(broken)))
    with pytest.raises(ExecutionError, match="the machine failed"):
        asyncio.run(grade_completion_async(answer, SIGN, grader=Grader(FakeExecutor(broken))))


def test_the_event_loop_goes_on_while_programs_run(grader: Grader) -> None:
    """Two answers are graded side by side, and agree with the blocking call."""

    async def both() -> list[CompletionGrade]:
        answers = (f"```python\n{PROGRAM}```", "nothing but ```cpp\n```")
        return list(
            await asyncio.gather(
                *(grade_completion_async(answer, SIGN, grader=grader) for answer in answers)
            )
        )

    first, second = asyncio.run(both())
    assert first == grade_completion(f"```python\n{PROGRAM}```", SIGN, grader=grader)
    assert second.verdict is Verdict.COMPILE_ERROR


def test_a_grader_of_its_own_is_made_where_none_is_given() -> None:
    assert grade_completion(f"```python\n{PROGRAM}```", SIGN).solved


MESSAGES: dict[str, tuple[Any, str]] = {
    "text": ("a", "a"),
    "one message": ([{"role": "assistant", "content": "a"}], "a"),
    "the last of the assistant's": (
        [{"role": "assistant", "content": "a"}, {"role": "tool", "content": "b"}],
        "a",
    ),
    "parts": (
        [{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}],
        "a",
    ),
    "parts without a type": (
        [{"role": "assistant", "content": [{"text": "b"}, {}, {"type": "text", "text": "a"}]}],
        "a",
    ),
    "only tools": ([{"role": "assistant", "content": None, "tool_calls": []}], ""),
    "reasoning apart": ([{"role": "assistant", "reasoning_content": "b", "content": "a"}], "a"),
}


@pytest.mark.parametrize(("completion", "text"), MESSAGES.values(), ids=MESSAGES)
def test_the_text_of_an_answer(completion: Any, text: str) -> None:
    assert answer_text(completion) == text


@pytest.mark.parametrize(
    "wrong", [None, 3, [], [{"role": "user", "content": "x"}], ["x"], b"x"], ids=repr
)
def test_what_is_no_answer_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="A completion is a str, or a list of chat"):
        grade_completion(wrong, SIGN)
    with pytest.raises(ConfigurationError, match="content of a message"):
        answer_text([{"role": "assistant", "content": 3}])


def test_what_is_no_problem_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Expected a codegym\.Problem, got str"):
        grade_completion("x", "sign")  # type: ignore[arg-type]


def test_the_mask_is_exact_to_the_byte(grader: Grader) -> None:
    answer = f"Größe:\n\n1. So\n   ```python\n{PROGRAM}   ```\nDone: `x`."
    grade = grade_completion(answer, SIGN, grader=grader)
    mask = mask_for(BYTES.encode(answer), BYTES, grade)
    assert masked_text(answer, mask) == NOT_EXECUTED
    inside = mask_for(BYTES.encode(answer), BYTES, grade, outside=0)
    executed = "def sign(x):\n    if x < 0:\n    return 1\n"
    assert masked_text(answer, [not value for value in inside]) == executed


def test_the_mask_of_an_indented_program_is_that_of_its_lines(grader: Grader) -> None:
    indented = "".join(f"   {line}" for line in PROGRAM.splitlines(keepends=True))
    answer = f"1. So\n   ```python\n{indented}   ```\n"
    grade = grade_completion(answer, SIGN, grader=grader)
    assert grade.solved
    mask = mask_for(BYTES.encode(answer), BYTES, grade)
    assert masked_text(answer, mask) == NOT_EXECUTED


@pytest.mark.parametrize(
    "odd", [b"x", "€".encode(), b"\xff", b"\xff\xff", b"\xe2\x82", b"\xf0\x9f\x98A\xe2"]
)
def test_bytes_that_are_not_utf_8_move_no_column(odd: bytes, grader: Grader) -> None:
    line = b"    if x: s = '" + odd + b"'; y = 2\n"
    program = b"def sign(x):\n" + line + b"    return 1 if x >= 0 else -1; z = '" + odd + b"'\n"
    ids = [*b"```python\n", *program, *b"```"]
    grade = grade_completion(decode_answer(ids, BYTES), SIGN, grader=grader)
    assert grade.solved
    left = bytes(
        one for one, value in zip(ids, mask_for(ids, BYTES, grade), strict=True) if not value
    )
    assert left.strip() == b"z = '" + odd + b"'"


def test_a_token_past_the_vocabulary_spells_nothing(grader: Grader) -> None:
    """A model may have more rows than its tokenizer has tokens."""
    ids = [*f"```python\n{PROGRAM}".encode(), BYTES.vocab_size + 5, *b"```"]
    assert decode_answer(ids, BYTES) == f"```python\n{PROGRAM}```"
    grade = grade_completion(decode_answer(ids, BYTES), SIGN, grader=grader)
    for outside in (0, 1):
        assert mask_for(ids, BYTES, grade, outside=outside)[-4] == outside
    with pytest.raises(TokenizationError):
        decode_answer([-1], BYTES)


def test_a_token_that_touches_executed_code_counts() -> None:
    class Pairs(ByteTokenizer):
        """Tokens of two bytes: 1000 stands for "`\\n", 1001 for "\\n`"."""

        vocab_size = 1002

        def token_bytes(self, token_id: int) -> bytes:
            return {1000: b"n\n", 1001: b"\n`"}.get(token_id) or super().token_bytes(token_id)

        def decode(self, token_ids: Sequence[int]) -> str:
            return b"".join(map(self.token_bytes, token_ids)).decode()

    tokenizer = Pairs()
    ids = [*b"```pytho", 1000, *b"x = 1\n#", 1001, *b"``"]
    grade = made("x = 1\n#\n", {1})
    expected = [0] * 9 + [1] * 6 + [0] * 4  # "n\n" and "\n`" touch no executed code
    assert mask_for(ids, tokenizer, grade, outside=0) == expected
    assert mask_for(ids, tokenizer, grade) == [1] * 15 + [0] + [1] * 3


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["x = 1\n", "if x:\n    y = 2\n", "# c\n", "z = '''\n'''\n"]), max_size=6
    ),
    st.sets(st.integers(1, 12)),
    st.sampled_from([ByteTokenizer(), MiniTokenizer()]),
)
def test_an_answer_that_is_only_a_program_has_the_mask_of_the_environment(
    parts: list[str], lines: set[int], tokenizer: ByteTokenizer | MiniTokenizer
) -> None:
    text = "".join(["pass\n", *parts])
    try:
        ids = [*tokenizer.encode(text), tokenizer.end_id]
    except TokenizationError:
        return
    mask = mask_for(ids, tokenizer, made(text, lines), outside=0)
    assert mask == loss_mask(Program(text), lines, tokenizer, ids).tolist()


def test_where_no_program_is_or_nothing_ran_all_of_it_may_be_learned() -> None:
    answer = "```python\nx =\n```"
    ids = [*BYTES.encode(answer), BYTES.end_id]
    assert mask_for(ids, BYTES, made(None, set()), outside=0) == [1] * len(ids)
    nothing_ran = mask_for(ids, BYTES, made("x =\n", set()), outside=0)
    assert nothing_ran == [0] * 10 + [1] * 4 + [0] * 3 + [1]
    assert all(mask_for(ids, BYTES, made("x =\n", set())))


def test_ends_are_always_learned_and_tokens_without_bytes_as_what_is_outside() -> None:
    class Special(ByteTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return b"" if token_id == 1000 else super().token_bytes(token_id)

        def decode(self, token_ids: Sequence[int]) -> str:
            return super().decode([token for token in token_ids if token != 1000])

    tokenizer = Special()
    ids = [1000, *tokenizer.encode("x\ny\n"), tokenizer.end_id]
    grade = made("x\ny\n", {1})
    assert mask_for(ids, tokenizer, grade) == [1, 1, 1, 0, 0, 1]
    assert mask_for(ids, tokenizer, grade, outside=0) == [0, 1, 1, 0, 0, 1]


def test_the_graded_text_may_lack_what_a_trainer_takes_out() -> None:
    """Reasoning and special tokens; a replacement character stands for broken bytes."""
    answer = "analysis```python\nq\n```final\nx\ny\n"
    ids = BYTES.encode(answer)
    assert masked_text(answer, mask_for(ids, BYTES, made("x\ny\n", {1}))) == "y\n"
    ids = [*b"```python\nx = '", 0xFF, *b"'\ny\n```"]
    mask = mask_for(ids, BYTES, made("x = '\ufffd'\ny\n", {1}))
    assert mask == [1] * 18 + [0, 0] + [1] * 3


def test_tokens_of_another_answer_are_refused() -> None:
    with pytest.raises(TokenizationError, match="graded program is not in the text"):
        mask_for(BYTES.encode("```python\nx = 2\n```"), BYTES, made("x = 1\n", {1}))


@pytest.mark.parametrize("outside", [2, -1, None, True, 0.5, "1"])
def test_what_is_outside_gets_0_or_1(outside: Any) -> None:
    with pytest.raises(ConfigurationError, match="outside is what tokens around"):
        mask_for([120], BYTES, made("x", {1}), outside=outside)


def test_a_plain_grade_does_not_say_where_the_program_is() -> None:
    with pytest.raises(ConfigurationError, match="the grade that grade_completion"):
        mask_for([120], BYTES, Grade(Verdict.ACCEPTED, 1, 1))  # type: ignore[arg-type]


def test_a_call_may_return(grader: Grader) -> None:
    """What a fake executor answers is graded like any other observation."""
    one = Observation(ExitReason.FINISHED, answer=encode_value(1))
    fake = Grader(FakeExecutor(lambda request: [one] * len(request.inputs)))
    assert grade_completion("```\nx\n```", SIGN, grader=fake).solved
