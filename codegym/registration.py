"""Every environment id, in one table. Entry points are strings: listing them imports nothing."""

from __future__ import annotations

from typing import Any

import gymnasium

__all__ = ["ENVIRONMENTS", "register_environments"]

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "CodeGen-Mini-v0": {
        "source": "mini",
        "tokenizer": "mini",
        "max_new_tokens": 192,
        "context_length": 384,
    },
    "CodeGen-APPSPlus-v0": {"source": "apps_plus", "context_length": 8192, "max_new_tokens": 2048},
    "CodeGen-APPS-v0": {"source": "apps", "context_length": 16_384, "max_new_tokens": 4096},
    "CodeGen-HumanEval-v0": {
        "source": "humaneval",
        "context_length": 4096,
        "max_new_tokens": 1024,
    },
    "CodeGen-MBPP-v0": {"source": "mbpp", "context_length": 4096, "max_new_tokens": 1024},
    "CodeGen-LeetCode-v0": {"source": "leetcode", "context_length": 8192, "max_new_tokens": 2048},
    "CodeGen-LiveCodeBench-v0": {
        "source": "livecodebench",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-DeepCoder-v0": {
        "source": "deepcoder",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-INTELLECT3-v0": {
        "source": "intellect3",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-SYNTHETIC-v0": {
        "source": "synthetic",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-Eurus2-v0": {
        "source": "eurus2",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-Verl-v0": {
        "source": "verl",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-TACO-v0": {
        "source": "taco",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-CodeContests-v0": {
        "source": "codecontests",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-Codeforces-v0": {
        "source": "codeforces",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-Nemotron-v0": {
        "source": "nemotron",
        "context_length": 16_384,
        "max_new_tokens": 4096,
    },
    "CodeGen-KodCode-v0": {
        "source": "kodcode",
        "context_length": 8192,
        "max_new_tokens": 2048,
    },
    "CodeGen-Custom-v0": {"source": "custom", "context_length": 4096, "max_new_tokens": 1024},
}
"""Id to the arguments that differ from the defaults of :class:`~codegym.envs.CodeTask`.

Lengths are for the byte tokenizer, the default wherever no other is named: about four times what
a tokenizer of words needs.
"""


def register_environments() -> None:
    """Registers every id with Gymnasium; does nothing for ids that are registered already."""
    for env_id, arguments in ENVIRONMENTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="codegym.envs.code_env:CodeEnv",
                vector_entry_point="codegym.envs.vector_env:CodeVectorEnv",
                # CodeEnv refuses step() before reset() itself, with an error of its own.
                order_enforce=False,
                disable_env_checker=True,
                kwargs=dict(arguments),
            )
