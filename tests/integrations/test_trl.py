"""TRL's real GRPOTrainer on the CPU: two steps with the reward, the mask and the curriculum.

`make test-integrations` installs TRL into an environment of its own and runs this. Elsewhere it is
skipped, unless TRL happens to be installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import WorkerError
from codegym.execution import FakeExecutor, LocalExecutor, Request
from codegym.grading import Grader
from codegym.integrations.trl import STATE_FILE, TRLTask
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.start_states import CurriculumOfSubtasks

pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
pytestmark = pytest.mark.filterwarnings("default")  # other people's, of any version

SOLUTION = (
    "def sign(x):\n"
    "    if x > 0:\n        return 1\n"
    "    if x < 0:\n        return -1\n"
    "    if x == 0:\n        return 0\n"
    "    return None\n"
)
SIGN = Problem(
    "sign",
    "Return the sign of x.",
    SOLUTION,
    (CallTest((5,), 1), CallTest((3,), 1)),
    entry_point="sign",
)
# From stage 1 on: right and never executed, as both tests are positive; and no program at all.
RIGHT = SOLUTION[SOLUTION.index("    if x == 0") :]
FAILS = "    this is no program\n"


class FailsOn(LocalExecutor):
    """Stands for a machine that fails on programs with a certain text."""

    def submit(self, request: Request) -> Any:
        if "machine" in request.program:
            return FakeExecutor(_broken).submit(request)
        return super().submit(request)


def _broken(_: Request) -> Any:
    raise WorkerError("the machine failed")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A byte-level BPE that is trained here, with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    fast_tokenizer: Any = PreTrainedTokenizerFast
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    raw.train_from_iterator([SOLUTION], trainer)
    made = fast_tokenizer(
        tokenizer_object=raw, eos_token="<eos>", pad_token="<pad>", padding_side="left"
    )
    made.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    return made


@pytest.fixture
def model(tokenizer: Any) -> Any:
    """A tiny random Llama in double precision."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with FailsOn(workers=1) as executor:
        yield Grader(executor)


class Scripted:
    """Generates given answers in turn, and keeps what it was asked."""

    def __init__(self, tokenizer: Any, answers: list[str]) -> None:
        self.tokenizer, self.answers = tokenizer, answers
        self.prompts: list[Any] = []

    def __call__(self, prompts: list[Any], trainer: Any) -> tuple[Any, Any, None]:
        self.prompts += prompts
        ids = [
            [*self.tokenizer(a, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            for a in self.answers[: len(prompts)]
        ]
        self.answers = self.answers[len(prompts) :]
        return [self.tokenizer(prompt)["input_ids"] for prompt in prompts], ids, None


def trainer_of(
    task: TRLTask, model: Any, tokenizer: Any, folder: Path, *, mask: bool = True, **options: Any
) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    settings: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "num_generations": 2,
        "max_completion_length": 24,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }
    config = GRPOConfig(output_dir=str(folder), **{**settings, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GRPOTrainer(
            model,
            reward_funcs=task.code_reward,
            args=config,
            train_dataset=task.dataset(),
            processing_class=tokenizer,
            callbacks=[task.callback()],
            rollout_func=task.rollout if mask else None,
        )


def test_two_steps_move_the_stage_and_the_model(
    tokenizer: Any, model: Any, grader: Grader, tmp_path: Path
) -> None:
    """Solved at stage 1, the problem begins at stage 0 from the next step on."""
    import torch

    curriculum = CurriculumOfSubtasks(alpha=0.5, threshold=0.4)
    generate = Scripted(tokenizer, [RIGHT, FAILS] * 8)
    task = TRLTask(
        ProblemSet.of([SIGN]), tokenizer, start=curriculum, grader=grader, generate=generate
    )
    before = [parameter.detach().clone() for parameter in model.parameters()]
    trainer = trainer_of(task, model, tokenizer, tmp_path, max_steps=4)
    trainer.train()
    assert trainer.state.global_step == 4
    assert any(
        not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)
    )
    begins = [prompt.rpartition("```python\n")[2] for prompt in generate.prompts]
    assert begins[:2] == [SOLUTION[: -len(RIGHT)]] * 2
    assert begins[-1] == ""
    assert len(set(begins)) == 2
    assert task.start_states.state_dict()["stage"] == {"sign": 0}
    logged = [entry for entry in trainer.state.log_history if "codegym/solved" in entry]
    assert logged[0]["codegym/solved"] == 0.5
    assert logged[0]["codegym/stage"] == 1
    assert logged[0]["codegym/failures"] == 0
    assert list(trainer._logs["extra"]["verdict"]) == ["compile_error"] * 2  # of the last step


def test_what_the_loader_reads_ahead_counts_for_the_stage_at_which_it_began(
    tokenizer: Any, grader: Grader
) -> None:
    """Accelerate's loader has the next batch when a stage moves; the batch after it is of that."""
    import accelerate
    import torch

    curriculum = CurriculumOfSubtasks(alpha=1.0)
    task = TRLTask(ProblemSet.of([SIGN]), tokenizer, start=curriculum, grader=grader)
    loader = torch.utils.data.DataLoader(
        task.dataset(), batch_size=1, sampler=[0] * 4, collate_fn=list
    )
    stages = []
    for (row,) in accelerate.Accelerator(cpu=True).prepare(loader):
        stages.append(row["stage"])
        task.advance([("sign", row["stage"], row["stage"] == 1)])
    assert stages == [1, 1, 0, 0]
    assert curriculum.state_dict() | {"stage": {"sign": 0}} == curriculum.state_dict()


def test_masked_tokens_get_no_gradient(
    tokenizer: Any, model: Any, grader: Grader, tmp_path: Path
) -> None:
    """The loss depends on the log-probability of a token exactly where the mask is 1."""
    import torch

    answers = [RIGHT, FAILS]
    task = TRLTask(
        ProblemSet.of([SIGN]),
        tokenizer,
        start=CurriculumOfSubtasks(),
        grader=grader,
        generate=Scripted(tokenizer, answers),
    )
    trainer = trainer_of(task, model, tokenizer, tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    inputs = trainer._prepare_inputs(batch)
    mask = inputs["tool_mask"] * inputs["completion_mask"]
    assert inputs["advantages"][0] > 0 > inputs["advantages"][1]
    row = int((mask.sum(dim=1) < inputs["completion_mask"].sum(dim=1)).nonzero()[0])
    masked = (inputs["completion_mask"][row] - mask[row]).bool()
    left = inputs["completion_ids"][row][masked].tolist()
    assert tokenizer.decode(left) == RIGHT

    seen = {}
    original = trainer._get_per_token_logps_and_entropies

    def watched(*args: Any, **options: Any) -> Any:
        found = original(*args, **options)
        seen["logps"] = found[0]
        found[0].retain_grad()
        return found

    trainer._get_per_token_logps_and_entropies = watched
    trainer.current_gradient_accumulation_steps = 1
    trainer._compute_loss(model, inputs).backward()
    gradient = seen["logps"].grad
    assert torch.equal(gradient != 0, mask.bool())


def test_a_failure_of_the_machine_has_no_advantage_and_is_not_a_zero(
    tokenizer: Any, model: Any, grader: Grader, tmp_path: Path
) -> None:
    task = TRLTask(
        ProblemSet.of([SIGN]),
        tokenizer,
        start=CurriculumOfSubtasks(),
        grader=grader,
        reward="binary",
        generate=Scripted(tokenizer, [RIGHT, "# machine\n" + RIGHT, FAILS]),
    )
    options: dict[str, Any] = {"per_device_train_batch_size": 3, "num_generations": 3}
    trainer = trainer_of(task, model, tokenizer, tmp_path, scale_rewards="none", **options)
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    by_reward = {
        verdict: float(advantage)
        for verdict, advantage in zip(
            trainer._logs["extra"]["verdict"], trainer._logs["advantages"], strict=True
        )
    }
    # The baseline is that of the two that were graded, 1/2. With a zero it would be 1/3.
    assert by_reward == {"accepted": 0.5, "failure": 0.0, "compile_error": -0.5}
    assert sorted(inputs["advantages"].tolist()) == [-0.5, 0.0, 0.5]
    assert sorted(task.take_outcomes()) == [("sign", 1, False), ("sign", 1, True)]


def test_the_trainer_itself_generates_and_whole_answers_are_graded(
    tokenizer: Any, model: Any, grader: Grader, tmp_path: Path
) -> None:
    """Nothing is scripted: chat prompts, TRL's own generation, with the mask and without."""
    for mask in (True, False):
        task = TRLTask(ProblemSet.of([SIGN]), tokenizer, grader=grader)
        trainer = trainer_of(task, model, tokenizer, tmp_path, mask=mask, temperature=1.0)
        trainer.train()
        assert trainer.state.global_step == 2
        assert len(trainer._logs["extra"]["verdict"]) == 2  # of the last step
        assert {"codegym/solved", "rewards/code_reward/mean"} <= set(trainer.state.log_history[0])


def test_training_resumes_with_its_curriculum(
    tokenizer: Any, model: Any, grader: Grader, tmp_path: Path
) -> None:
    def task_with(answers: list[str]) -> TRLTask:
        curriculum = CurriculumOfSubtasks(alpha=0.5, threshold=0.4)
        generate = Scripted(tokenizer, answers)
        return TRLTask(
            ProblemSet.of([SIGN]), tokenizer, start=curriculum, grader=grader, generate=generate
        )

    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1}
    first = task_with([RIGHT, FAILS] * 4)
    trainer_of(first, model, tokenizer, tmp_path, **saving).train()
    assert (tmp_path / "checkpoint-1" / STATE_FILE).exists()
    second = task_with([FAILS] * 20)
    trainer = trainer_of(second, model, tokenizer, tmp_path, max_steps=3, **saving)
    trainer.train(resume_from_checkpoint=True)
    assert second.start_states.state_dict()["stage"] == {"sign": 0}
