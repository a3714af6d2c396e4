"""HOW IS IT STEPPED? The environments: single, vectorised, and the rules that both follow."""

from codegym.envs.arguments import TASK_ARGUMENTS, Argument, TaskArguments
from codegym.envs.code_env import CodeEnv, EnvState
from codegym.envs.episode import Episode
from codegym.envs.problem_sampler import ProblemSampler, StageSampler, UniformSampler
from codegym.envs.prompt_format import (
    AnswerFormat,
    AutoFormat,
    ChatFormat,
    CompletionFormat,
    InstructionFormat,
    ProgramInAnswer,
    Prompt,
    PromptFormat,
    make_prompt_format,
    prompt_tokens,
)
from codegym.envs.task import CodeTask
from codegym.envs.vector_env import CodeVectorEnv

__all__ = [
    "TASK_ARGUMENTS",
    "AnswerFormat",
    "Argument",
    "AutoFormat",
    "ChatFormat",
    "CodeEnv",
    "CodeTask",
    "CodeVectorEnv",
    "CompletionFormat",
    "EnvState",
    "Episode",
    "InstructionFormat",
    "ProblemSampler",
    "ProgramInAnswer",
    "Prompt",
    "PromptFormat",
    "StageSampler",
    "TaskArguments",
    "UniformSampler",
    "make_prompt_format",
    "prompt_tokens",
]
