"""Which environment: problems, tokenizer and vector envs from command-line settings."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import gymnasium
import tyro
from gymnasium.vector import AutoresetMode, VectorEnv
from transformers import AutoTokenizer

import codegym
from agents.command import refuse_outside, refuse_unused
from agents.hub import loading
from agents.vllm_engine import require_vllm
from codegym.envs import (
    TASK_ARGUMENTS,
    CodeTask,
    CodeVectorEnv,
    ProblemSampler,
    make_prompt_format,
    prompt_tokens,
)
from codegym.errors import ConfigurationError, TokenizationError, UnknownNameError
from codegym.problems import (
    SOURCES,
    GeneratedSource,
    Problem,
    ProblemSet,
    Source,
    load_problems,
)
from codegym.start_states import StartStates
from codegym.tokenization import HuggingFaceTokenizer, Tokenizer

__all__ = [
    "ProblemSettings",
    "TaskSettings",
    "fitting",
    "load_split",
    "make_envs",
    "make_grader",
    "make_tokenizer",
    "task_of",
]

_OWN_TOKENIZERS = ("mini", "byte")
_CHAT_FORMATS = ("chat", "answer")
_ANSWER = "codegym"  # stands for an answer, where a template is looked at
_ENV_ID = "CodeGen-Mini-v0"
_DEFAULTS: dict[str, Any] = {
    **{name: argument.default for name, argument in TASK_ARGUMENTS.items()},
    **codegym.ENVIRONMENTS[_ENV_ID],
}


def _help(name: str) -> Any:
    """The help text of a setting that is an argument of the environment: codegym's own."""
    return tyro.conf.arg(help=TASK_ARGUMENTS[name].doc)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemSettings:
    """The problems, and how a policy reads them.

    Of the environment's arguments, these and those of :class:`TaskSettings` are the ones that a
    command line can say. Their defaults are those of ``CodeGen-Mini-v0``, their meaning is
    codegym's (``TASK_ARGUMENTS``).
    """

    env_id: str = _ENV_ID
    """any id that codegym registers"""
    split: Annotated[str | None, _help("split")] = "train"
    data: Annotated[str | None, _help("data")] = _DEFAULTS["data"]
    difficulty: Annotated[str | None, _help("difficulty")] = _DEFAULTS["difficulty"]
    tokenizer: Annotated[str, _help("tokenizer")] = _DEFAULTS["tokenizer"]
    prompt_format: Annotated[str, _help("prompt_format")] = _DEFAULTS["prompt_format"]
    context_length: Annotated[int, _help("context_length")] = _DEFAULTS["context_length"]

    def refuse_unused_task(self) -> None:
        """Refuses settings of a task that this task has no use for.

        Raises:
            UnknownNameError: If there is no such environment.
            ConfigurationError: If one was given.
        """
        if self.env_id not in codegym.ENVIRONMENTS:
            raise UnknownNameError("environment", self.env_id, codegym.ENVIRONMENTS)
        read = isinstance(self.source, Source)
        refuse_unused(self, ("data",), read, "a source that is read from a file")

    @property
    def source(self) -> Source | GeneratedSource:
        """Where the environment's problems come from; says what can be asked of them."""
        return SOURCES[str(codegym.ENVIRONMENTS[self.env_id]["source"])]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSettings(ProblemSettings):
    """The environment: problems, rewards, budgets and judging."""

    reward: Annotated[str, _help("reward")] = _DEFAULTS["reward"]
    sampler: Annotated[str, _help("sampler")] = _DEFAULTS["sampler"]
    max_new_tokens: Annotated[int, _help("max_new_tokens")] = _DEFAULTS["max_new_tokens"]
    cpu_seconds: float = 1.0
    """CPU time of a program, per test"""
    num_envs: int = 128
    """sub-environments, of all processes together"""
    judging: Literal["sync", "async"] = "async"
    """whether programs are run while others are still being written; the episodes are the same"""
    workers: int | None = None
    """processes that run programs; None: one for each CPU. If several processes train, each has so
    many; None: the CPUs are shared"""
    engine: Literal["tokens", "generate", "vllm"] = "tokens"
    """what writes programs: "tokens" (a loop over tokens, beside the environment's), "generate" (of
    transformers), or "vllm", where it is installed; the last two write whole continuations"""
    vllm_memory: float = 0.3
    """share of the GPU's memory that vLLM takes, for weights and a key-value cache of its own"""

    def refuse_unused_task(self) -> None:
        """Refuses settings that this task has no use for, and an engine that is not there.

        Raises:
            UnknownNameError: If there is no such environment.
            ConfigurationError: If one was given, or vLLM is to be used and not installed.
        """
        super().refuse_unused_task()
        refuse_unused(self, ("vllm_memory",), self.engine == "vllm", 'engine="vllm"')
        refuse_outside(self, ("vllm_memory",), above=0.0, high=1.0)
        if self.engine == "vllm":
            require_vllm()


def load_split(settings: ProblemSettings, *, split: str | None, size: int, seed: int) -> ProblemSet:
    """Problems of a split.

    Args:
        settings: Source and selection.
        split: Its name; None: all.
        size: How many. Of problems that are read from a file, a shuffled part is taken, and 0
            stands for all; generated ones have no end.
        seed: Which ones.

    Returns:
        The problems.

    Raises:
        ConfigurationError: If no problem is left.
        UnknownNameError: If there is no such split or difficulty.
    """
    source = settings.source
    if isinstance(source, GeneratedSource):
        if size < 1:
            raise ConfigurationError(
                f"The problems of {settings.env_id} are generated without an end: expected a "
                f"number of them, got {size}."
            )
        problems = load_problems(
            source.name, split=split, difficulty=settings.difficulty, size=size, seed=seed
        )
    else:
        problems = load_problems(
            source.name,
            data=settings.data,
            split=split,
            difficulty=settings.difficulty,
            allow_sample=False,  # a result must not be one on other problems than it says
        )
        if size and size < len(problems):
            problems = problems.shuffle(seed).take(size)
    if not len(problems):
        raise ConfigurationError(
            f"No problem is left of {settings.env_id} with split={split!r} and "
            f"difficulty={settings.difficulty!r}: {problems.report}"
        )
    return problems


def fitting(problems: ProblemSet, settings: ProblemSettings, tokenizer: Tokenizer) -> ProblemSet:
    """The problems whose prompt and canonical program fit the context, wherever an episode begins.

    A program that the tokenizer cannot spell to the byte does not fit.

    Args:
        problems: Candidates; all are built.
        settings: Prompt format and context length.
        tokenizer: Of the policy.

    Returns:
        Those that fit.

    Raises:
        ConfigurationError: If none does.
    """
    prompt_format = make_prompt_format(settings.prompt_format, tokenizer)

    def fits(problem: Problem) -> bool:
        prompt = prompt_format.render(problem)
        program = problem.canonical_solution or prompt.header
        try:
            shown = len(prompt_tokens(dataclasses.replace(prompt, header=""), tokenizer))
            return shown + len(tokenizer.encode(program)) < settings.context_length
        except TokenizationError:  # the program cannot be spelled to the byte
            return False

    chosen = problems.filter(fits)
    if not len(chosen):
        raise ConfigurationError(
            f"None of {len(problems)} problems fits context_length={settings.context_length} with "
            "its prompt and canonical program. Raise it."
        )
    return chosen


def make_tokenizer(name: str, prompt_format: str = "auto") -> Tokenizer:
    """One of codegym's tokenizers, or a Hugging Face one behind codegym's protocol.

    Args:
        name: ``"mini"``, ``"byte"``, a hub name or a folder, with or without ``"hf:"``.
        prompt_format: Of the task. With ``"chat"`` and ``"answer"`` the policy must be able to end
            its turn.

    Returns:
        The tokenizer.

    Raises:
        ConfigurationError: If it cannot be loaded, or has no chat template that ends a turn where
            one is needed.
    """
    if name in _OWN_TOKENIZERS:
        tokenizer = codegym.tokenization.make_tokenizer(name)
    else:
        tokenizer = _load_tokenizer(name)
    if prompt_format in _CHAT_FORMATS:
        make_prompt_format(prompt_format, tokenizer)  # says that there is no template
        _require_end_of_turn(tokenizer, name, prompt_format)
    return tokenizer


def _load_tokenizer(name: str) -> Tokenizer:
    with loading(name.removeprefix("hf:"), "a tokenizer") as found:
        return codegym.tokenization.make_tokenizer(AutoTokenizer.from_pretrained(found))


def _require_end_of_turn(tokenizer: Tokenizer, name: str, prompt_format: str) -> None:
    """Refuses a chat template after which a model would write on until its budget is used up."""
    if not isinstance(tokenizer, HuggingFaceTokenizer) or tokenizer.turn_ends:
        return
    chat = [{"role": "user", "content": "Write."}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = str(tokenizer.transformers_tokenizer.apply_chat_template(chat, tokenize=False))
        end = text.rpartition(_ANSWER)[2].strip()
        fault = (
            f"it puts {end[:40]!r} after an answer, which is not a token of the tokenizer"
            if end
            else "it puts nothing after an answer"
        )
    except Exception as error:  # a template is code of others, and raises what it likes
        fault = f"it does not render an answer ({error})"
    raise ConfigurationError(
        f"prompt_format={prompt_format!r} needs a chat template that ends a turn with one of the "
        f"tokenizer's added tokens, but of {name!r} {fault}. So a program would end only when its "
        "budget is used up. Add the token to the tokenizer, take that of an instruction-tuned "
        'model, or use prompt_format="instruction".'
    )


@contextlib.contextmanager
def make_grader(settings: TaskSettings) -> Iterator[codegym.Grader]:
    """A grader that several vector envs may share, with a local pool; both are closed at the end.

    Args:
        settings: Limits and number of workers.

    Yields:
        The grader.
    """
    limits = codegym.ExecutionLimits(
        cpu_seconds=settings.cpu_seconds, wall_seconds=10.0 * settings.cpu_seconds
    )
    executor = codegym.LocalExecutor(workers=settings.workers)
    try:
        with codegym.Grader(executor=executor, limits=limits) as grader:
            yield grader
    finally:
        executor.close()


def make_envs(
    settings: TaskSettings,
    problems: ProblemSet,
    *,
    start: str | StartStates,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    num_envs: int | None = None,
    reward: Any = None,
    sampler: ProblemSampler | None = None,
) -> VectorEnv[Any, Any, Any]:
    """A vector env without autoreset, as :mod:`agents.rollout` needs it.

    Args:
        settings: Id, reward, lengths.
        problems: What is asked.
        start: Name or object of a start distribution.
        grader: Judges; shared.
        tokenizer: Of the policy.
        num_envs: Overrides the settings.
        reward: A reward of codegym; overrides the settings.
        sampler: Draws the problems; overrides the settings.

    Returns:
        The environment; the caller closes it.
    """
    return gymnasium.make_vec(
        settings.env_id,
        num_envs=num_envs or settings.num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.DISABLED,
        problems=problems,
        tokenizer=tokenizer,
        prompt_format=settings.prompt_format,
        start=start,
        sampler=settings.sampler if sampler is None else sampler,
        reward=reward or settings.reward,
        max_new_tokens=settings.max_new_tokens,
        context_length=settings.context_length,
        grader=grader,
        judging=settings.judging,
        copy=False,
    )


def task_of(envs: VectorEnv[Any, Any, Any]) -> CodeTask:
    """The task that all sub-environments share: its problems, sampler and start states.

    Args:
        envs: A vector env of codegym.

    Returns:
        Its task.

    Raises:
        ConfigurationError: If it is another vector env.
    """
    vector_env = envs.unwrapped
    if not isinstance(vector_env, CodeVectorEnv):
        raise ConfigurationError(
            f"Expected a vector env of codegym, got {type(vector_env).__name__}."
        )
    return vector_env.task
