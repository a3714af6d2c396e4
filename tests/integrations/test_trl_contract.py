"""What TRL's trainer is told, on a trainer that is made up: nothing here imports TRL.

The real one is run by `make test-integrations` (test_trl.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from codegym.errors import ConfigurationError, IsolationError, WorkerError
from codegym.execution import FakeExecutor, LocalExecutor, Request
from codegym.grading import Grader
from codegym.integrations.trl import STATE_FILE, TRLTask
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.start_states import CurriculumOfSubtasks, UniformPrefixes

SOLUTION = (
    "def sign(x):\n"
    "    if x > 0:\n        return 1\n"
    "    if x < 0:\n        return -1\n"
    "    if x == 0:\n        return 0\n"
    "    return None\n"
)
TESTS = (CallTest((5,), 1), CallTest((3,), 1))
SIGN = Problem("sign", "Return the sign of x.", SOLUTION, TESTS, entry_point="sign")
SAME = Problem("same", "Return the sign of x.", SOLUTION, (CallTest((5,), 2),), entry_point="sign")
DOUBLE = Problem("double", "Double x.", "", (CallTest((2,), 4),), entry_point="double")
PROBLEMS = ProblemSet.of([SIGN, DOUBLE])
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


fast_tokenizer: Any = PreTrainedTokenizerFast


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A byte-level tokenizer without merges, which adds a first token as Llama's does."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=259,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    raw.train_from_iterator([], trainer)
    made = fast_tokenizer(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


class FailsOn(LocalExecutor):
    """Stands for a machine that fails on programs with a certain text."""

    def submit(self, request: Request) -> Any:
        if "fail" in request.program:
            fake = FakeExecutor(_broken)
            return fake.submit(request)
        return super().submit(request)


def _broken(_: Request) -> Any:
    raise WorkerError("the machine failed")


class Log:
    """What a reward function logs."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.metrics: dict[str, float] = {}

    def log_extra(self, column: str, values: list[Any]) -> None:
        self.columns[column] = values

    def log_metric(self, name: str, value: float) -> None:
        self.metrics[name] = value


def rewards(
    task: TRLTask, prompts: list[Any], answers: list[str], tokenizer: Any, **columns: Any
) -> list[float | None]:
    ids = [tokenizer(answer, add_special_tokens=False)["input_ids"] for answer in answers]
    completions: list[Any] = answers
    if not isinstance(prompts[0], str):
        completions = [[{"role": "assistant", "content": answer}] for answer in answers]
    return asyncio.run(
        task.code_reward(prompts=prompts, completions=completions, completion_ids=ids, **columns)
    )


def fenced(program: str) -> str:
    return f"<think>Easy.</think>\n```python\n{program}```"


def test_whole_answers_to_chats_get_the_reward_of_their_grade(
    tokenizer: Any, grader: Grader
) -> None:
    task = TRLTask(PROBLEMS, tokenizer, grader=grader, system="Think.")
    rows = task.rows({"problem_id": ["sign", "sign", "sign", "double"]})
    assert rows["problem_id"] == ["sign", "sign", "sign", "double"]
    assert rows["stage"] == [None] * 4
    assert [message["role"] for message in rows["prompt"][0]] == ["system", "user"]
    assert "sign of x" in rows["prompt"][0][1]["content"]
    log = Log()
    wrong = fenced("def sign(x):\n    return 0\n")
    answers = [fenced(SOLUTION), wrong, "No.", "<think>"]
    got = rewards(
        task, rows["prompt"], answers, tokenizer, log_extra=log.log_extra, log_metric=log.log_metric
    )
    assert got == [1.0, -0.3, -1.0, -1.0]
    assert log.columns["verdict"] == ["accepted", "wrong_answer", "compile_error", "compile_error"]
    assert log.columns["problem_id"] == rows["problem_id"]
    assert log.columns["pass_ratio"] == [1.0, 0.0, 0.0, 0.0]
    assert log.metrics["codegym/solved"] == 0.25
    assert log.metrics["codegym/has_program"] == 0.75
    assert log.metrics["codegym/failures"] == 0
    assert "codegym/stage" not in log.metrics
    assert task.take_outcomes() == []


def test_a_failure_of_the_machine_is_none_and_never_a_number(tokenizer: Any) -> None:
    log = Log()
    with FailsOn(workers=1) as executor:
        task = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=Grader(executor))
        prompts = task.rows({"problem_id": ["sign", "sign"]})["prompt"]
        answers = ["        return 0  # fail\n", "        return 0\n    return None\n"]
        got = rewards(
            task, prompts, answers, tokenizer, log_extra=log.log_extra, log_metric=log.log_metric
        )
        assert got == [None, 1.0]
        assert log.columns["verdict"] == ["failure", "accepted"]
        assert log.columns["pass_ratio"] == [None, 1.0]
        assert (log.metrics["codegym/failures"], log.metrics["codegym/solved"]) == (1, 1)
        assert task.take_outcomes() == [("sign", 1, True)]
        out = task.rollout(prompts, Trainer(tokenizer, answers))
        assert out["grade"][0] is None
        assert out["env_mask"][0] == [1] * len(out["completion_ids"][0])
        assert rewards(task, prompts, answers, tokenizer, grade=out["grade"]) == [None, 1.0]
        all_failed = rewards(task, prompts[:1], answers[:1], tokenizer, log_metric=Log().log_metric)
        assert all_failed == [None]


def test_a_machine_that_can_run_nothing_stops_the_training(tokenizer: Any) -> None:
    def refuses(_: Request) -> Any:
        raise IsolationError("no Landlock here")

    task = TRLTask(PROBLEMS, tokenizer, grader=Grader(FakeExecutor(refuses)))
    prompts = task.rows({"problem_id": ["sign"]})["prompt"]
    with pytest.raises(IsolationError, match="no Landlock"):
        rewards(task, prompts, [fenced(SOLUTION)], tokenizer)


class Trainer:
    """Generates given answers, through the methods by which TRL's trainer generates."""

    def __init__(self, tokenizer: Any, answers: list[str]) -> None:
        self.tokenizer, self.answers = tokenizer, answers
        self.model = SimpleNamespace(training=True)
        self.num_generations, self.num_generations_eval = 2, 1

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.tokenizer(prompt)["input_ids"] for prompt in prompts], None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: None, fields: dict[str, Any], each: int
    ) -> tuple[list[list[int]], None]:
        assert (images, fields, each) == (None, {}, 2)
        encoded = (self.tokenizer(a, add_special_tokens=False)["input_ids"] for a in self.answers)
        return [[*ids, self.tokenizer.eos_token_id] for ids in encoded], None


def test_a_rollout_masks_what_was_not_executed(tokenizer: Any, grader: Grader) -> None:
    task = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=grader)
    prompts = task.rows({"problem_id": ["sign", "sign"]})["prompt"]
    answers = ["        return 0\n    return None\n```\nDone.", "        return\n"]
    out = task.rollout(prompts, Trainer(tokenizer, answers))
    assert out["prompt_ids"] == [tokenizer(prompt)["input_ids"] for prompt in prompts]
    ids, mask = out["completion_ids"][0], out["env_mask"][0]
    assert tokenizer.decode(ids, skip_special_tokens=True) == answers[0]
    left = [token for token, value in zip(ids, mask, strict=True) if not value]
    assert tokenizer.decode(left) == "        return 0\n    return None\n"
    assert out["logprobs"] is None
    assert [grade.solved for grade in out["grade"]] == [True, True]
    inside = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=grader, outside=0)
    prompts = inside.rows({"problem_id": ["sign", "sign"]})["prompt"]
    masks = inside.rollout(prompts, Trainer(tokenizer, answers))["env_mask"]
    assert masks[0] == [0] * (len(ids) - 1) + [1]


def test_the_grades_of_a_rollout_are_not_made_again(tokenizer: Any, grader: Grader) -> None:
    task = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=grader)
    prompts = task.rows({"problem_id": ["sign"]})["prompt"]
    answers = ["        return 0\n    return None\n"]
    grades = task.rollout(prompts, Trainer(tokenizer, answers))["grade"]
    other = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=Grader(FakeExecutor(_broken)))
    other.rows({"problem_id": ["sign"]})
    assert rewards(other, prompts, answers, tokenizer) == [None]
    assert rewards(other, prompts, answers, tokenizer, grade=grades) == [1.0]


def test_prompts_begin_where_the_curriculum_is(tokenizer: Any, grader: Grader) -> None:
    curriculum = CurriculumOfSubtasks(alpha=1.0)
    task = TRLTask(PROBLEMS, tokenizer, start=curriculum, grader=grader)
    before = task.rows({"problem_id": ["sign", "double"]})
    assert before["stage"] == [1, 0]
    assert before["prompt"][0].endswith("```python\n" + SOLUTION[: SOLUTION.index("    if x == 0")])
    assert before["prompt"][1].endswith("```python\n")
    got = rewards(
        task, before["prompt"], [SOLUTION[SOLUTION.index("    if x == 0") :], "pass"], tokenizer
    )
    assert got == [1.0, -0.6]
    task.advance(task.take_outcomes())
    after = task.rows({"problem_id": ["sign"]})
    assert after["stage"] == [0]
    assert after["prompt"][0].endswith("```python\n")


def test_what_a_loader_had_read_ahead_counts_for_the_stage_at_which_it_began(
    tokenizer: Any, grader: Grader
) -> None:
    """Rows that were made before a stage moved are answered after it did."""
    task = TRLTask(PROBLEMS, tokenizer, start=CurriculumOfSubtasks(alpha=1.0), grader=grader)
    first = task.rows({"problem_id": ["sign", "sign"]})
    ahead = task.rows({"problem_id": ["sign", "sign"]})
    rest = SOLUTION[SOLUTION.index("    if x == 0") :]
    rewards(task, first["prompt"], [rest, rest], tokenizer)
    task.advance(task.take_outcomes())
    assert task.rows({"problem_id": ["sign"]})["stage"] == [0]
    rewards(task, ahead["prompt"], ["syntax error", "syntax error"], tokenizer)
    late = task.take_outcomes()
    assert late == [("sign", 1, False)] * 2
    task.advance(late)
    state = task.start_states.state_dict()
    assert (state["stage"], state["success"]) == ({"sign": 0}, {"sign": 0.0})


def test_two_ranks_move_alike(tokenizer: Any, grader: Grader) -> None:
    """Each has seen a half of the completions; both hear of all, in one order."""
    ranks = [
        TRLTask(PROBLEMS, tokenizer, start=CurriculumOfSubtasks(alpha=0.5), grader=grader)
        for _ in range(2)
    ]
    rest = SOLUTION[SOLUTION.index("    if x == 0") :]
    for task, answers in zip(ranks, ([rest, "("], [rest, rest]), strict=True):
        rewards(task, task.rows({"problem_id": ["sign"] * 2})["prompt"], answers, tokenizer)
    gathered = [outcome for task in ranks for outcome in task.take_outcomes()]
    for task in ranks:
        task.advance(gathered)
    states = [task.start_states.state_dict() for task in ranks]
    assert states[0] == states[1]
    assert states[0]["stage"] == {"sign": 0}


def test_rows_of_a_group_begin_alike_on_all_ranks(tokenizer: Any, grader: Grader) -> None:
    ranks = [TRLTask(PROBLEMS, tokenizer, start=UniformPrefixes(), grader=grader) for _ in range(2)]
    seen = set()
    for _ in range(20):
        made = [task.rows({"problem_id": ["sign"] * 4})["prompt"] for task in ranks]
        assert len({prompt for prompts in made for prompt in prompts}) == 1
        seen.add(made[0][0])
        for task in ranks:
            task.advance([])
    assert len(seen) > 1


def test_a_checkpoint_holds_the_curriculum(tokenizer: Any, grader: Grader, tmp_path: Path) -> None:
    task = TRLTask(PROBLEMS, tokenizer, start=CurriculumOfSubtasks(alpha=1.0), grader=grader)
    task.advance([("sign", 1, True)])
    task.save(tmp_path)
    assert (tmp_path / STATE_FILE).exists()
    other = TRLTask(PROBLEMS, tokenizer, start=CurriculumOfSubtasks(alpha=1.0), grader=grader)
    other.load(tmp_path)
    assert other.rows({"problem_id": ["sign"]})["stage"] == [0]


def test_a_first_token_is_not_doubled(tokenizer: Any, grader: Grader) -> None:
    class AddsIt:
        """The tokenizer, which now adds its first token to each text."""

        def __init__(self) -> None:
            self.__dict__["inner"] = tokenizer

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __len__(self) -> int:
            return len(tokenizer)

        def __call__(self, text: str, **options: Any) -> Any:
            ids = tokenizer(text, **options)["input_ids"]
            return {"input_ids": [tokenizer.bos_token_id, *ids]}

    plain = TRLTask(PROBLEMS, tokenizer, start="cccs", grader=grader)
    assert plain.rows({"problem_id": ["sign"]})["prompt"][0].startswith("<s><|user|>")
    adding = TRLTask(PROBLEMS, AddsIt(), start="cccs", grader=grader)
    assert adding.rows({"problem_id": ["sign"]})["prompt"][0].startswith("<|user|>")


def test_of_problems_with_one_prompt_the_first_counts(tokenizer: Any, grader: Grader) -> None:
    task = TRLTask(ProblemSet.of([SIGN, SAME]), tokenizer, grader=grader)
    log = Log()
    prompts = task.rows({"problem_id": ["sign", "same"]})["prompt"]
    assert prompts[0] == prompts[1]
    got = rewards(task, prompts, [fenced(SOLUTION)] * 2, tokenizer, log_extra=log.log_extra)
    assert (got, log.columns["problem_id"]) == ([1.0, 1.0], ["sign", "sign"])


def test_a_tokenizer_without_template_gets_prompts_that_begin_the_program(
    tokenizer: Any, grader: Grader
) -> None:
    base = fast_tokenizer(tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>")
    task = TRLTask(PROBLEMS, base, grader=grader)
    rows = task.rows({"problem_id": ["sign"]})
    assert rows["prompt"][0].endswith("ANSWER:\n")
    assert rewards(task, rows["prompt"], [SOLUTION], base) == [1.0]
    with pytest.raises(ConfigurationError, match="chat template"):
        TRLTask(PROBLEMS, base, prompt_format="chat")


def test_what_does_not_fit_is_told(
    tokenizer: Any, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"problems must be a codegym\.ProblemSet"):
        TRLTask([SIGN], tokenizer)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="tokenizer must be the trainer's"):
        TRLTask(PROBLEMS, "byte")
    task = TRLTask(PROBLEMS, tokenizer, grader=grader)
    with pytest.raises(ConfigurationError, match="not of this task's data set"):
        rewards(task, ["What is 1 + 1?"], ["2"], tokenizer)
    prompts = task.rows({"problem_id": ["sign"]})["prompt"]
    with pytest.raises(ConfigurationError, match=r"GRPOTrainer of TRL 1\.16"):
        task.rollout(prompts, SimpleNamespace())
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(ConfigurationError, match="dataloader_num_workers=0"):
        task.rows({"problem_id": ["sign"]})


def test_a_rollout_may_generate_by_itself_and_inside_of_an_event_loop(
    tokenizer: Any, grader: Grader
) -> None:
    answer = fenced(SOLUTION)

    def generate(prompts: list[Any], trainer: Any) -> tuple[Any, Any, Any]:
        assert trainer is None
        return [[1]] * len(prompts), [tokenizer(answer)["input_ids"]] * len(prompts), None

    task = TRLTask(PROBLEMS, tokenizer, grader=grader, generate=generate)
    prompts = task.rows({"problem_id": ["sign"]})["prompt"]

    async def in_a_notebook() -> dict[str, Any]:
        return task.rollout(prompts, None)

    out = asyncio.run(in_a_notebook())
    assert out["grade"][0].solved
    assert 0 in out["env_mask"][0]
