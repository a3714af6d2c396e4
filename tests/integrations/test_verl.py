"""verl's own functions load the reward, run the agent loop, and see a failure of the machine.

Nothing is trained here: verl's loop needs a GPU. What is real is everything between its
configuration and the tensors that its trainer learns from: the file of rows, ``pkg://``, the reward
manager, the worker that makes agent loops from their file and pads what they return, the
advantages and the loss.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest

from codegym.errors import ExecutionError, WorkerError
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations import verl
from codegym.problems import CallTest, Problem

package = pytest.importorskip("verl", reason="verl is not installed: make test-integrations")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
hydra = pytest.importorskip("hydra")
reward = pytest.importorskip("verl.trainer.ppo.reward")
protocol = pytest.importorskip("verl.protocol")

ADD = Problem(
    "add", "Add x and y.", "", (CallTest((1, 2), 3), CallTest((4, 4), 8)), entry_point="f"
)
UNRUN = "        return 0\n"
RIGHT = f"Sum.\n```python\ndef f(x, y):\n    if x > 9:\n{UNRUN}    return x + y\n```"
WRONG = "```python\ndef f(x, y):\n    return 3\n```"
PROMPT, RESPONSE = 1024, 256
CHAT = "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>{% endfor %}<s>assistant\n"


def break_down(request: object) -> Never:
    raise WorkerError("the machine is broken")


@pytest.fixture
def broken_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = Grader(FakeExecutor(break_down))
    monkeypatch.setattr(verl, "shared_grader", lambda _: grader)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model: its configuration, and a tokenizer of bytes."""
    folder = tmp_path_factory.mktemp("model")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    bpe = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[])
    )
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="</s>", bos_token="<s>", pad_token="<pad>"
    )
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    transformers.LlamaConfig(
        vocab_size=300, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, architectures=["LlamaForCausalLM"],
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def config(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The configuration of verl's trainer, with codegym's reward and agent loop."""
    loops = tmp_path_factory.mktemp("loops") / "loops.yaml"
    loops.write_text(
        "- name: codegym\n  _target_: codegym.integrations.verl.FGOAgentLoop\n  reward: stepcoder\n"
    )
    folder = Path(package.__file__).parent / "trainer" / "config"
    with hydra.initialize_config_dir(config_dir=str(folder), version_base=None):
        return hydra.compose(
            "ppo_trainer",
            overrides=[
                f"actor_rollout_ref.model.path={model}",
                "actor_rollout_ref.rollout.name=vllm",
                f"actor_rollout_ref.rollout.prompt_length={PROMPT}",
                f"actor_rollout_ref.rollout.response_length={RESPONSE}",
                f"actor_rollout_ref.rollout.agent.agent_loop_config_path={loops}",
                "reward.custom_reward_function.path=pkg://codegym.integrations.verl",
                "+reward.custom_reward_function.reward_kwargs.reward=pass_ratio",
                "+reward.custom_reward_function.reward_kwargs.limits.cpu_seconds=3.0",
            ],
        )


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(model)


def batch(row: dict[str, Any], answer: str, tokenizer: Any) -> Any:
    """An answer as verl hands it to a reward manager."""
    ids = tokenizer.encode(answer, add_special_tokens=False)
    padded = ids + [tokenizer.pad_token_id] * (RESPONSE - len(ids))
    mask = [1] * len(ids) + [0] * (RESPONSE - len(ids))
    return protocol.DataProto.from_dict(
        tensors={
            "prompts": torch.zeros(1, 4, dtype=torch.int64),
            "responses": torch.tensor([padded]),
            "attention_mask": torch.tensor([[1] * 4 + mask]),
        },
        non_tensors={
            name: np.array([row[name]], dtype=object)
            for name in ("data_source", "reward_model", "extra_info")
        },
    )


def rewarded(config: Any, tokenizer: Any, answer: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        manager = reward.load_reward_manager(config, tokenizer)
        told: dict[str, Any] = await manager.run_single(
            batch(verl.rows([ADD])[0], answer, tokenizer)
        )
        return told

    return asyncio.run(ask())


def test_verl_loads_the_reward_by_pkg_and_its_manager_gets_scores(
    config: Any, tokenizer: Any
) -> None:
    right, wrong = (rewarded(config, tokenizer, answer) for answer in (RIGHT, WRONG))
    assert (right["reward_score"], wrong["reward_score"]) == (1.0, 0.5)
    assert right["reward_extra_info"]["verdict"] == "accepted"
    assert set(right["reward_extra_info"]) == set(wrong["reward_extra_info"])


@pytest.mark.usefixtures("broken_machine")
def test_verls_manager_gets_an_error_and_no_score_where_the_machine_fails(
    config: Any, tokenizer: Any
) -> None:
    with pytest.raises(ExecutionError, match="broken"):
        rewarded(config, tokenizer, RIGHT)


def test_verls_data_set_reads_the_rows(config: Any, tokenizer: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    module = pytest.importorskip("verl.utils.dataset.rl_dataset")
    file = tmp_path / "train.parquet"
    rows = verl.rows([ADD], agent_name="codegym")
    datasets.Dataset.from_list(rows).to_parquet(str(file))
    read = module.RLHFDataset(data_files=str(file), tokenizer=tokenizer, config=config.data)[0]
    assert read["agent_name"] == "codegym"
    assert list(read["raw_prompt"]) == rows[0]["prompt"]
    told = read["reward_model"]["ground_truth"]
    assert verl.problem_of_row(read["data_source"], told, read["extra_info"]) == ADD


class Server:
    """Stands for the servers that sample: answers what the test says."""

    def __init__(self, tokenizer: Any, answers: list[str]) -> None:
        self.tokenizer, self.answers = tokenizer, answers

    async def generate(self, request_id: str, *, prompt_ids: list[int], **_: Any) -> Any:
        replica = pytest.importorskip("verl.workers.rollout.replica")
        # Prompts are made in threads, and may come in any order.
        asked = self.tokenizer.decode(prompt_ids)
        [answer] = [a for n, a in enumerate(self.answers) if f"Task {n}:" in asked]
        ids = self.tokenizer.encode(answer, add_special_tokens=False)
        return replica.TokenOutput(token_ids=[*ids, self.tokenizer.eos_token_id])


def answered(config: Any, tokenizer: Any, answers: list[str]) -> Any:
    """What verl's worker makes of answers of the agent loop."""
    loop = pytest.importorskip("verl.experimental.agent_loop.agent_loop")

    async def ask() -> Any:
        worker = loop.AgentLoopWorker(config, Server(tokenizer, list(answers)))
        problems = [
            dataclasses.replace(ADD, description=f"Task {n}: add x and y.")
            for n in range(len(answers))
        ]
        columns: dict[str, Any] = {}
        for position, row in enumerate(verl.rows(problems, agent_name="codegym")):
            row["raw_prompt"] = row.pop("prompt")
            for name, value in row.items():
                columns.setdefault(name, np.empty(len(answers), dtype=object))[position] = value
        return await worker.generate_sequences(protocol.DataProto.from_dict(non_tensors=columns))

    return asyncio.run(ask())


def test_verls_worker_runs_the_agent_loop_and_its_mask_is_fgos(config: Any, tokenizer: Any) -> None:
    output = answered(config, tokenizer, [RIGHT, WRONG])
    mask = output.batch["response_mask"][0]
    start, length = RIGHT.index(UNRUN), len(RIGHT) + 1  # each byte is a token; then the end token
    expected = torch.zeros(RESPONSE, dtype=torch.int64)
    expected[:length] = 1
    expected[start : start + len(UNRUN)] = 0
    assert mask.tolist() == expected.tolist()
    scores = output.batch["rm_scores"]
    assert scores.sum(dim=1).tolist() == pytest.approx([1.0, -0.3])
    assert list(output.non_tensor_batch["verdict"]) == ["accepted", "wrong_answer"]


@pytest.mark.usefixtures("broken_machine")
def test_verls_worker_gets_an_error_and_no_batch_where_the_machine_fails(
    config: Any, tokenizer: Any
) -> None:
    with pytest.raises(ExecutionError, match="broken"):
        answered(config, tokenizer, [RIGHT, WRONG])


def test_tokens_that_did_not_run_get_no_gradient_from_verls_loss(
    config: Any, tokenizer: Any
) -> None:
    algorithms = pytest.importorskip("verl.trainer.ppo.core_algos")
    mask = answered(config, tokenizer, [RIGHT, WRONG]).batch["response_mask"]
    log_probs = torch.zeros(mask.shape, requires_grad=True)
    loss = algorithms.agg_loss(loss_mat=-log_probs, loss_mask=mask, loss_agg_mode="token-mean")
    loss.backward()
    assert log_probs.grad is not None
    assert ((log_probs.grad != 0) == (mask == 1)).all()


def test_a_zero_in_place_of_an_error_would_change_what_others_learn() -> None:
    """Why a failure is raised: a mask of zeros keeps a row's tokens out, not its reward."""
    algorithms = pytest.importorskip("verl.trainer.ppo.core_algos")
    group = np.array(["a"] * 3, dtype=object)

    def advantages(rewards: list[float]) -> list[float]:
        tokens = torch.tensor([[reward] for reward in rewards])
        mask = torch.ones(len(rewards), 1)
        mask[2:] = 0  # the third could not be graded
        found, _ = algorithms.compute_grpo_outcome_advantage(tokens, mask, group[: len(rewards)])
        values: list[float] = found[:2, 0].tolist()
        return values

    assert advantages([1.0, 1.0]) == pytest.approx([0.0, 0.0])
    assert advantages([1.0, 1.0, 0.0])[0] > 0.1
