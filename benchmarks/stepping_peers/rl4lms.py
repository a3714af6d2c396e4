"""RL4LMs' ``TextGenEnv.step`` from a checkout of that project, unchanged.

Its package needs an old ``gym`` and every metric that it knows to be imported. Neither has a part
in ``step``: gymnasium's spaces and an empty reward module stand in while it is imported. The reward
is constant. The tokenizer is codegym's for Mini, as a fast tokenizer of transformers.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.resources
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium

from benchmarks.stepping_peers.contender import Contender, Lengths

__all__ = ["text_gen_env"]

_REWARDS = "rl4lms.envs.text_generation.reward"


def text_gen_env(checkout: Path, lengths: Lengths) -> Contender:
    """The contender.

    Args:
        checkout: Folder that holds ``rl4lms``.
        lengths: Prompt and generated tokens.
    """
    with _importable(checkout):
        module: Any = importlib.import_module("rl4lms.envs.text_generation.env")
        pool: Any = importlib.import_module("rl4lms.data_pools.text_generation_pool")
    tokenizer = _tokenizer()
    env = module.TextGenEnv(
        tokenizer,
        lambda *_: 0.0,
        [(pool.Sample("p", "x " * lengths.prompt, ["y"]), 1.0)],
        max_episode_length=lengths.new,
        max_prompt_length=lengths.prompt,
    )
    token = tokenizer.encode("x")[0]
    step = functools.partial(env.step, token)
    return Contender("RL4LMs TextGenEnv", 1, env.reset, step, lengths.new - 1)


def _tokenizer() -> Any:
    transformers: Any = importlib.import_module("transformers")
    file = importlib.resources.files("codegym.tokenization") / "mini_bpe.json"
    with importlib.resources.as_file(file) as path:
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
    end, pad = list(tokenizer.added_tokens_encoder)[:2]
    tokenizer.eos_token, tokenizer.pad_token = end, pad
    tokenizer.model_max_length = 1 << 30
    return tokenizer


@contextlib.contextmanager
def _importable(checkout: Path) -> Iterator[None]:
    rewards: Any = types.ModuleType(_REWARDS)
    rewards.RewardFunction = type("RewardFunction", (), {})
    rewards.BatchedRewardFunction = type("BatchedRewardFunction", (), {})
    stand_ins = {
        "gym": gymnasium,
        "gym.spaces": gymnasium.spaces,
        "gym.spaces.dict": gymnasium.spaces.dict,
        "gym.spaces.discrete": gymnasium.spaces.discrete,
        _REWARDS: rewards,
    }
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    sys.path.insert(0, str(checkout))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path.remove(str(checkout))
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
