"""What a user types wrong: an error of ours, and nothing of an earlier run is touched."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agents import apps_plus, checkpoint, evaluate, ppo, sft, train
from agents.command import main, set_up_torch
from agents.environments import make_grader, make_tokenizer
from agents.folders import replacing
from agents.guard import DivergedError
from agents.methods import prorl
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.running import command
from agents.telemetry import RunLogger, read_scalars
from codegym.errors import ConfigurationError, UnknownNameError

TINY: Any = {"model_width": 16, "model_layers": 1, "workers": 1}


def test_a_command_that_is_refused_leaves_an_earlier_run_as_it_is(tmp_path: Path) -> None:
    with RunLogger(tmp_path, quiet=True) as logger:
        logger.scalars(1, {"a": 1.0})
        logger.note("once")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for resume_at in (None, 0):
        with (
            pytest.raises(ConfigurationError),
            RunLogger(tmp_path, quiet=True, resume_at=resume_at),
        ):
            raise ConfigurationError("no such split")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with RunLogger(tmp_path, quiet=True) as logger:
        logger.scalars(7, {"a": 7.0})
    assert [row["step"] for row in read_scalars(tmp_path)] == [7]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1, "curves of one run"


def test_half_a_line_of_a_killed_run_does_not_keep_it_from_going_on(tmp_path: Path) -> None:
    (tmp_path / "scalars.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "ro')
    with RunLogger(tmp_path, quiet=True, resume_at=2) as logger:
        logger.scalars(2, {"a": 1.0})
    assert [row["step"] for row in read_scalars(tmp_path)] == [1, 2]


def test_what_a_resumed_run_has_told_is_on_the_disk_before_it_goes_on(tmp_path: Path) -> None:
    lines = {name: f'{{"step": 1, "of": "{name}"}}\n' for name in ("scalars", "rollouts")}
    for name, line in lines.items():
        (tmp_path / f"{name}.jsonl").write_text(line)
    with RunLogger(tmp_path, quiet=True, resume_at=2) as logger:
        logger.note("goes on")
        for name, line in lines.items():  # as a process that is killed now would leave it
            assert (tmp_path / f"{name}.jsonl").read_text() == line


def test_a_setting_is_read_beside_those_of_the_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = prorl.Args(**TINY, group=2, num_envs=6, episodes=6, out=tmp_path)
    for name in ("policy/policy.json", "reference/policy.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(begun), default=str))
    torch.save({"iteration": 0}, tmp_path / "state.pt")
    words = ["prorl", "--num-envs", "6", "--threads", "2", "--resume", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    (tmp_path / "scalars.jsonl").write_text('{"step": 0}\n')
    found: list[prorl.Args] = []

    def run(args: prorl.Args, logger: RunLogger) -> None:
        found.append(args)
        logger.scalars(0, {"measured": 1.0})

    command(prorl.Args, run)
    assert found == [dataclasses.replace(begun, threads=2, resume=tmp_path)]
    # Success before the first iteration is measured again, and told once.
    assert read_scalars(tmp_path) == [{"step": 0, "measured": 1.0}]


def test_a_new_run_does_not_write_over_one_that_could_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["prorl", "--out", str(tmp_path)])
    begun: list[prorl.Args] = []

    def run(args: prorl.Args, logger: RunLogger) -> None:
        begun.append(args)

    command(prorl.Args, run)
    assert len(begun) == 1, "a folder without a run is as good as a new one"
    for name, iteration in (("checkpoints/000002", 2), ("good", 7)):
        folder = tmp_path / name
        for part in ("policy", "reference"):
            (folder / part).mkdir(parents=True)
            (folder / part / "policy.json").touch()
        (folder / "settings.json").write_text("{}")
        torch.save({"iteration": iteration}, folder / "state.pt")
    with pytest.raises(ConfigurationError, match=r"iteration 7 or further.*--resume .*/good\)"):
        command(prorl.Args, run)
    assert len(begun) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"critic_learning_rate": float("inf")},
        {"max_grad_norm": 0.0},
        {"target_kl": float("nan")},
        {"target_kl": -1.0},
        {"microbatch_tokens": 0},
        {"temperature": 0.0},
        {"clip_range": float("nan")},
        {"kl_coefficient": -0.1},
        {"gamma": 1.1},
    ],
)
def test_numbers_without_a_meaning_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        ppo.Args(**change)  # type: ignore[arg-type]


def test_an_answer_in_which_the_program_is_found_has_no_start_states() -> None:
    with pytest.raises(ConfigurationError, match=r'Give start="empty".*got start=\'cccs\''):
        ppo.Args(prompt_format="answer")
    ppo.Args(prompt_format="answer", start="empty")
    ppo.Args(prompt_format="chat")


def test_fine_tuning_refuses_numbers_without_a_meaning() -> None:
    for change in ({"sft_learning_rate": 0.0}, {"matrix_learning_rate": float("nan")}):
        with pytest.raises(ConfigurationError, match=next(iter(change))):
            sft.Args(**change)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="batch_size"):
        sft.Args(batch_size=0)


def test_what_the_job_decides_cannot_be_set_for_a_part_of_it(tmp_path: Path) -> None:
    refused: list[Callable[[], Any]] = [
        lambda: train.Args(ppo=ppo.Args(seed=5)),
        lambda: train.Args(ppo=ppo.Args(model=str(tmp_path))),
        lambda: train.Args(sft=sft.Args(out=tmp_path)),
        lambda: apps_plus.Args(sft=sft.Args(threads=2)),
    ]
    for make in refused:
        with pytest.raises(ConfigurationError, match="has no effect here: the job decides"):
            make()


def test_an_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="CodeGen-Mini-v0"):
        ppo.Args(env_id="CodeGen-Minni-v0")


def test_evaluation_needs_as_many_samples_as_k_and_a_problem() -> None:
    with pytest.raises(ConfigurationError, match=r"ks=\(1, 2\)"):
        evaluate.Args(samples=1, ks=(1, 2))
    with pytest.raises(ConfigurationError, match="a difficulty, got 0"):
        evaluate.held_out(evaluate.Args(), split="test", per_level=0)


def test_threads_and_devices_that_are_not_there() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(ConfigurationError, match="threads must be 1 or more, got 0"):
        set_up_torch(0)
    assert torch.get_num_threads() == threads
    with pytest.raises(ConfigurationError, match="device='nowhere' cannot be used"):
        set_up_torch(threads, "nowhere")


def test_a_misspelt_folder_is_no_name_on_the_hub(tmp_path: Path) -> None:
    for load in (make_tokenizer, CausalLMPolicy.from_pretrained):
        with pytest.raises(ConfigurationError, match=r"no folder|not a folder"):
            load(str(tmp_path / "nothere"))
    with pytest.raises(ConfigurationError, match="there is no folder"):
        make_policy(ppo.Args(model=str(tmp_path / "nothere")), vocab_size=9, seed=0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after one iteration."""
    folder = tmp_path_factory.mktemp("run")
    args = ppo.Args(
        **TINY, problems=2, num_envs=2, episodes=2, max_new_tokens=2, iterations=1, eval_every=0,
        out=folder,
    )  # fmt: skip
    with RunLogger(folder, quiet=True) as logger:
        ppo.run(args, logger)
    return folder / "checkpoints" / "000001"


@pytest.mark.parametrize(
    "damaged", ["state.pt", "settings.json", "policy/trunk/model.safetensors", "policy/policy.json"]
)
def test_a_damaged_checkpoint_is_named(damaged: str, saved: Path, tmp_path: Path) -> None:
    args = checkpoint.saved_settings(saved, ppo.Args)
    copy = tmp_path / "copy"
    with replacing(copy) as draft:
        for path in saved.rglob("*"):
            if path.is_file():
                (draft / path.relative_to(saved)).parent.mkdir(parents=True, exist_ok=True)
                (draft / path.relative_to(saved)).write_bytes(path.read_bytes())
    whole = (copy / damaged).read_bytes()
    (copy / damaged).write_bytes(whole[: len(whole) // 2])
    resumed = dataclasses.replace(args, resume=copy, out=tmp_path / "on")
    with (
        RunLogger(tmp_path / "on", quiet=True) as logger,
        pytest.raises(ConfigurationError, match=r"damaged|cannot be loaded"),
    ):
        ppo.run(resumed, logger)


def test_weights_that_are_no_numbers_are_not_kept(saved: Path, tmp_path: Path) -> None:
    args = checkpoint.saved_settings(saved, ppo.Args)
    for guard, message in ((True, "a weight is not a finite number"), (False, "Expected finite")):
        out = tmp_path / str(guard)
        with RunLogger(out, quiet=True) as logger, make_grader(args) as grader:
            trainer = ppo.PPO.make(
                dataclasses.replace(args, guard=guard, out=out), grader=grader, logger=logger
            )
            try:
                with torch.no_grad():
                    next(trainer.policy.parameters()).fill_(float("nan"))
                if guard:
                    assert trainer._check() == message
                else:
                    with pytest.raises(DivergedError, match=message):
                        trainer._check()
            finally:
                trainer.close()
        assert not (out / "good").exists()
        assert not (out / "policy").exists()


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        main(interrupted)
    assert ended.value.code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_the_results_name_the_settings_that_ran(tmp_path: Path) -> None:
    args = train.Args(
        out=tmp_path,
        seed=3,
        test_per_level=1,
        sft=sft.Args(
            steps=1, problems=4, model_width=16, model_layers=1
        ),
        ppo=ppo.Args(
            workers=1, problems=2, num_envs=2, episodes=2, max_new_tokens=2, iterations=1,
            eval_every=0,
        ),
    )  # fmt: skip
    train.train(args)
    told = json.loads((tmp_path / "results.json").read_text())["arguments"]
    assert told["ppo"]["seed"] == told["sft"]["seed"] == 3
    assert told["ppo"]["model"] == told["sft"]["out"] == str(tmp_path / "sft")


def test_a_width_that_is_not_a_whole_number_of_heads_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="model_width must be a multiple of 16"):
        make_policy(sft.Args(model_width=40), vocab_size=8, seed=0)


def test_default_rates_are_called_into_question_for_the_checkpoint_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "learning_rate=0.0006 and critic_learning_rate=0.001" in ppo.Args(model="a/b").advice
    assert ppo.Args(model="a/b", learning_rate=1e-5, critic_learning_rate=1e-4).advice == ""
    assert ppo.Args().advice == ppo.Args(model="config:gpt2").advice == ""
    checkpoint = tmp_path / "checkpoint"
    CausalLMPolicy.from_config_tiny(512, d=16, layers=1).trunk.save_pretrained(checkpoint)
    given: Any = {"steps": 2, "batch_size": 4, "problems": 8, "tokenizer": "mini"}
    with RunLogger(tmp_path / "sft") as logger:
        sft.run(sft.Args(model=str(checkpoint), out=tmp_path / "sft", **given), logger)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "sft_learning_rate=0.003 and matrix_learning_rate=0.006: these defaults" in said
    assert sft.Args(model=str(tmp_path / "sft")).advice == ""
    run: Any = {**given, "num_envs": 2, "episodes": 2, "iterations": 1, "eval_every": 0}
    run = {k: v for k, v in run.items() if k not in ("steps", "batch_size")}
    args = ppo.Args(model=str(checkpoint), out=tmp_path / "ppo", start="empty", **run)
    with RunLogger(tmp_path / "ppo") as logger:
        ppo.run(args, logger)
    assert "learning_rate=0.0006 and critic" in capsys.readouterr().out
