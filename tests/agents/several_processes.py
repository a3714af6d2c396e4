"""What each process does that `test_parallel.py` launches; not a test itself.

accelerate launch ... -m tests.agents.several_processes FOLDER
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

import torch

from agents import ppo
from agents.advantages import gae
from agents.critic import Critic, make_critic
from agents.parallel import ALONE, Processes, joined
from agents.policy import CausalLMPolicy
from agents.rewards import token_rewards
from agents.rollout import play
from agents.running import command
from agents.scoring import score
from agents.sequences import take
from agents.telemetry import RunLogger
from tests.agents.fake_env import VOCAB, CopyEnv

RUN = """
    --model-width 16 --model-layers 1 --problems 4 --num-envs 4 --episodes 8 --minibatches 3
    --max-new-tokens 6 --warmup-updates 1 --iterations 2 --workers 1
    --eval-every 1 --eval-per-level 1 --checkpoint-every 1
"""
"""Of two iterations that evaluate, in which everything happens that a run can share."""
_ARGS = ppo.Args(warmup_updates=0, minibatches=3, microbatch_tokens=40)

Agent = tuple[CausalLMPolicy, Critic]


def main(folder: Path) -> None:
    """Makes the batch and the run; what each process has afterwards is written for the test."""
    with joined() as processes:
        found: dict[str, Any] = {}
        kept: list[ppo.PPO] = []
        found |= _made_batch(processes)
        found |= _more_processes_than_rows(processes)

        def run(args: ppo.Args, logger: RunLogger) -> None:
            kept.append(ppo.run(args, logger, processes=processes))

        sys.argv = ["agents.ppo", *RUN.split(), "--out", str(folder / "run")]
        command(ppo.Args, run, processes)
        trainer = kept[0]
        found["weights"] = trainer.policy.state_dict()
        assert trainer.critic is not None
        found["critic"] = trainer.critic.state_dict()
        found["optimizer"] = trainer.optimizer.state_dict()
        found["start_states"] = trainer.start_states.state_dict()
        found["guard"] = dataclasses.asdict(trainer.guard.state)
        found["episodes"] = trainer.episodes
        torch.save(found, folder / f"{processes.index}.pt")


def _agent() -> Agent:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, seed=0).eval()
    critic = make_critic("policy", policy)
    assert critic is not None
    return policy, critic


def _made_batch(processes: Processes) -> dict[str, Any]:
    """One update by all processes, each with some of the episodes, and by this one with all."""
    together, alone = _agent(), _agent()
    reference = copy.deepcopy(together[0])
    everything = play(together[0], CopyEnv(25), episodes=25, seed=19).sequences
    # Shares of different sizes and numbers of tokens, padded to different widths.
    shares = torch.arange(25).tensor_split([7])
    scores = functools.partial(score, reference=reference)
    mine = take(everything, shares[processes.index])
    exchanged = processes.all_episodes(mine, scores(*together, tokens=mine))
    whole = everything, scores(*alone, tokens=everything)
    rewards, estimate = token_rewards(_ARGS.reward), gae()
    found: dict[str, Any] = {}
    for name, agent, (sequences, said), group in (
        ("together", together, exchanged, processes),
        ("alone", alone, whole, ALONE),
    ):
        batch = ppo.prepare(said, sequences, rewards, estimate, _ARGS)
        optimizer = _Remembers([p for model in agent for p in model.parameters()])
        optimizer.param_groups = ppo.make_optimizer(*agent, _ARGS).param_groups
        shuffle = torch.Generator().manual_seed(0)
        stats = ppo.update(*agent, optimizer, batch, _ARGS, shuffle, processes=group)
        found[name] = {
            "stats": stats,
            "metrics": dict(batch.metrics),
            "advantages": batch.advantages,
            "gradients": optimizer.gradients,
            "weights": [p.detach() for model in agent for p in model.parameters()],
            "groups": batch.sequences.group.tolist(),
        }
    return found


def _more_processes_than_rows(processes: Processes) -> dict[str, Any]:
    """A minibatch of one episode: the second process has no gradient and no part of the loss."""
    agent = _agent()
    one = take(play(agent[0], CopyEnv(4), episodes=4, seed=3).sequences, torch.tensor([0]))
    said = score(*agent, agent[0], one)
    batch = ppo.prepare(said, one, token_rewards(_ARGS.reward), gae(whitened=False), _ARGS)
    optimizer = ppo.make_optimizer(*agent, _ARGS)
    shuffle = torch.Generator().manual_seed(0)
    stats = ppo.update(*agent, optimizer, batch, _ARGS, shuffle, processes=processes)
    return {"one row": {"stats": stats, "weights": list(agent[0].parameters())}}


class _Remembers(torch.optim.SGD):
    """Plain steps, and the gradients that they were taken with."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        super().__init__(parameters, lr=0.1)
        self.gradients: list[list[torch.Tensor | None]] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        learned = (p for group in self.param_groups for p in group["params"])
        self.gradients.append([None if p.grad is None else p.grad.clone() for p in learned])
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p -= 0.1 * p.grad


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
