"""HOW IS IT STEPPED? The environments: single, vectorised, and the rules that both follow."""

from codegym.envs.arguments import TaskArguments
from codegym.envs.code_env import CodeEnv, EnvState
from codegym.envs.episode import Episode
from codegym.envs.prompt_format import (
    AutoFormat,
    ChatFormat,
    CompletionFormat,
    InstructionFormat,
    Prompt,
    PromptFormat,
    make_prompt_format,
    prompt_tokens,
)
from codegym.envs.task import CodeTask
from codegym.envs.vector_env import CodeVectorEnv

__all__ = [
    "AutoFormat",
    "ChatFormat",
    "CodeEnv",
    "CodeTask",
    "CodeVectorEnv",
    "CompletionFormat",
    "EnvState",
    "Episode",
    "InstructionFormat",
    "Prompt",
    "PromptFormat",
    "TaskArguments",
    "make_prompt_format",
    "prompt_tokens",
]
