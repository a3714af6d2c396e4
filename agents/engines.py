"""Which engine a policy writes with: the one place that decides."""

from __future__ import annotations

from agents.environments import TaskSettings
from agents.hf_generate import HFGenerate
from agents.policy import CausalLMPolicy
from agents.vllm_engine import VLLM

__all__ = ["use_engine"]


def use_engine(policy: CausalLMPolicy, settings: TaskSettings) -> None:
    """Gives a policy the engine that the settings name. One that it has already stays.

    Args:
        policy: Its rollouts, completions and evaluations are written so from here on.
        settings: Name of the engine, and its sizes.

    Raises:
        ConfigurationError: If the engine cannot write with this policy, or is not installed.
    """
    if policy.engine is not None:
        return
    if settings.engine == "generate":
        policy.engine = HFGenerate(policy)
    elif settings.engine == "vllm":
        policy.engine = VLLM(
            policy, context_length=settings.context_length, memory_share=settings.vllm_memory
        )
