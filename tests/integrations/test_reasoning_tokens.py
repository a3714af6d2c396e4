"""Tags of reasoning that are special tokens: no trainer takes a draft for the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codegym.commands.writers.local_model import LocalModel
from codegym.commands.writers.writer import Sampling, Wanted
from codegym.errors import TokenizationError
from codegym.grading import Grader, Verdict
from codegym.integrations import decode_answer, grade_completion, mask_for, verl
from codegym.integrations.trl import TRLTask
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.tokenization import ByteTokenizer
from tests.envs.test_chat import TEMPLATES, byte_level, wrap
from tests.integrations.test_verl_contract import Loop

RIGHT = "def f(x):\n    return x\n"
WRONG = "def f(x):\n    if x > 9:\n        return 7\n    return 0\n"
PROBLEM = Problem("same", "Return x.", RIGHT, (CallTest((1,), 1),), entry_point="f")
DRAFT = f"[THINK]\n```python\n{RIGHT}```\nIs that all?[/THINK]\n"
GIVEN_UP = DRAFT + "I cannot do it."
ANSWERED = f"[THINK]Try ```python\nq\n```[/THINK]\n```python\n{WRONG}```"


@pytest.fixture(name="tokenizer")
def fixture_tokenizer() -> Any:
    made = wrap(byte_level(), TEMPLATES["chatml"][0])
    made.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    return made


def ids_of(answer: str, tokenizer: Any) -> list[int]:
    return [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def test_the_text_of_an_answer_has_the_tags_and_no_other_special_token(tokenizer: Any) -> None:
    ids = ids_of(GIVEN_UP, tokenizer)
    assert "[THINK]" not in tokenizer.decode(ids, skip_special_tokens=True)
    assert decode_answer(ids, tokenizer) == GIVEN_UP
    assert decode_answer([*b"a\xffb", 256], ByteTokenizer()) == "a\ufffdb"


def test_the_mask_finds_the_program_behind_the_reasoning(tokenizer: Any) -> None:
    ids = ids_of(ANSWERED, tokenizer)
    with Grader() as grader:
        grade = grade_completion(decode_answer(ids, tokenizer), PROBLEM, grader=grader)
    assert grade.program is not None
    assert (grade.program.text, grade.verdict) == (WRONG, Verdict.WRONG_ANSWER)
    mask = mask_for(ids, tokenizer, grade)
    left = [token for token, value in zip(ids, mask, strict=True) if not value]
    assert tokenizer.decode(left).strip() == "return 7"


def test_a_draft_is_no_answer_to_verl(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verl, "_single_turn_loop", lambda: Loop)
    loop = verl.FGOAgentLoop(tokenizer=tokenizer, answer=ids_of(GIVEN_UP, tokenizer))
    output = asyncio.run(loop.run({}, **verl.rows([PROBLEM])[0]))
    assert output.reward_score == 0.0
    assert output.extra_fields["reward_extra_info"]["verdict"] == "compile_error"
    loop = verl.FGOAgentLoop(tokenizer=tokenizer, answer=ids_of(ANSWERED, tokenizer))
    output = asyncio.run(loop.run({}, **verl.rows([PROBLEM])[0]))
    assert output.extra_fields["reward_extra_info"]["verdict"] == "wrong_answer"
    assert 0 in output.response_mask[:-1]


@pytest.mark.parametrize("as_messages", [True, False])
def test_a_draft_is_no_answer_to_trl(tokenizer: Any, as_messages: bool) -> None:
    ids = ids_of(GIVEN_UP, tokenizer)
    with Grader() as grader:
        task = TRLTask(
            ProblemSet.of([PROBLEM]), tokenizer, grader=grader, reward="binary",
            generate=lambda *_: ([[0]], [ids], None),
        )  # fmt: skip
        prompts = task.rows({"problem_id": ["same"]})["prompt"]
        told: Any = tokenizer.decode(ids, skip_special_tokens=True)
        told = [{"role": "assistant", "content": told}] if as_messages else told
        paid = task.code_reward(prompts=prompts, completions=[told], completion_ids=[ids])
        assert asyncio.run(paid) == [0.0]
        (grade,) = task.rollout(prompts, None)["grade"]
        assert grade.verdict is Verdict.COMPILE_ERROR


def test_a_draft_is_no_answer_to_codegym_eval(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")

    class Model:
        def generate(self, ids: Any, **_: Any) -> Any:
            return torch.cat([ids, torch.tensor([ids_of(GIVEN_UP, tokenizer)])], dim=1)

    model = LocalModel.__new__(LocalModel)
    for name, value in {
        "_torch": torch, "_tokenizer": tokenizer, "_model": Model(), "_device": "cpu",
        "_sampling": Sampling(max_new_tokens=9),
    }.items():  # fmt: skip
        setattr(model, name, value)
    (row,) = model.write([Wanted(PROBLEM, 0)])
    assert isinstance(row, dict)
    assert row["completion"] == GIVEN_UP

    def refuse(*_: object) -> str:
        raise TokenizationError("no")

    monkeypatch.setattr("codegym.commands.writers.local_model.decode_answer", refuse)
    (row,) = model.write([Wanted(PROBLEM, 0)])
    assert isinstance(row, dict)
    assert row["completion"].endswith("I cannot do it.")
