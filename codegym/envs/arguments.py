"""The arguments that every environment takes, checked and turned into the objects they name.

Plain values (names, numbers, paths) keep an environment's spec JSON-able; wherever a name is
accepted, an object of that kind is accepted as well.
"""

from __future__ import annotations

import inspect
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypedDict,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

from codegym.envs.problem_sampler import ProblemSampler
from codegym.envs.prompt_format import PromptFormat
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.grading.grader import Grader
from codegym.grading.verdict import Grade
from codegym.problems.date_window import Day
from codegym.problems.load import SOURCES, load_problems
from codegym.problems.problem_set import ProblemSet
from codegym.problems.source import GeneratedSource
from codegym.rewards.process.reward import ProcessReward
from codegym.start_states.start_state import StartStates
from codegym.tokenization.tokenizer import Tokenizer

__all__ = [
    "TASK_ARGUMENTS",
    "Argument",
    "TaskArguments",
    "boolean",
    "check_names",
    "complete",
    "documents_task_arguments",
    "make_problems",
    "positive",
]

# Drawing by number of stages looks at every problem of the set once, and generators have no end.
_GENERATED_SIZE = 1000
_VECTOR_ONLY = ("num_envs", "judging", "autoreset_mode")


class Argument(NamedTuple):
    """What is said of an argument besides its name and type.

    Attributes:
        default: Its value where none is given.
        doc: Its meaning, in a sentence.
    """

    default: Any
    doc: str


class TaskArguments(TypedDict, total=False):
    """Keyword arguments of :class:`~codegym.envs.CodeEnv` and its vector counterpart.

    Each is stated here, once: name, type, default and meaning. Docstrings and the defaults of
    :class:`~codegym.envs.CodeTask` follow; :data:`TASK_ARGUMENTS` has them as data.
    """

    source: Annotated[str, Argument("mini", "Name of the data source, see `load_problems`.")]
    split: Annotated[str | None, Argument(None, "Its split; None: the source's own default.")]
    difficulty: Annotated[str | None, Argument(None, "Only problems of this difficulty.")]
    data: Annotated[
        str | Path | None,
        Argument(
            None,
            'Path of the data file or folder; "sample" of "apps_plus": problems of codegym\'s own '
            "in its format.",
        ),
    ]
    allow_sample: Annotated[
        bool,
        Argument(
            True,
            'Whether that sample may stand in for "apps_plus" if no `data` is given and the '
            "machine has neither the file nor a network; it warns, once in a process, and "
            '`info["source"]` is then "apps_plus_sample". False: an error. No effect on other '
            "sources.",
        ),
    ]
    packages: Annotated[
        Sequence[str],
        Argument(
            (),
            "Packages that programs may import beside the standard library and what the data "
            "set's own judge has, see `load_problems`.",
        ),
    ]
    dates: Annotated[
        Sequence[Day] | None,
        Argument(
            None,
            'First and last day of contests, both included, such as ("2024-08-01", "2025-02-01") '
            "(livecodebench only).",
        ),
    ]
    keys: Annotated[
        Mapping[str, str] | None,
        Argument(
            None,
            'Which keys the fields of "custom" have in your rows, such as {"description": '
            '"problem", "tests": "tests"}.',
        ),
    ]
    without: Annotated[
        str | ProblemSet | None,
        Argument(
            None,
            "Leaves out the problems that this set, or the source of this name, holds as well, see "
            "`ProblemSet.without`.",
        ),
    ]
    size: Annotated[int | None, Argument(None, "Number of problems (generated sources only).")]
    seed: Annotated[
        int | None,
        Argument(
            None,
            "Seed of the problem generator (generated sources only). Episodes are seeded by "
            "`reset(seed=...)`.",
        ),
    ]
    problems: Annotated[
        ProblemSet | None, Argument(None, "A problem set, instead of the arguments above.")
    ]
    tests: Annotated[
        int | None,
        Argument(
            None,
            "How many of a problem's unit tests judge a program at most, the same ones in each "
            "episode; None: all. Evaluate on all of them: see `ProblemSet.with_tests`.",
        ),
    ]
    tokenizer: Annotated[
        str | Tokenizer | Any,
        Argument(
            "byte",
            '"mini", "byte", "hf:<name or path>", a Hugging Face tokenizer, or a '
            "`codegym.tokenization.Tokenizer`.",
        ),
    ]
    prompt_format: Annotated[
        str | PromptFormat,
        Argument(
            "auto",
            '"auto", "completion", "instruction", "chat" (the program in a fence that the prompt '
            'opens), "answer" (the program is found in what a chat model answers), or a '
            "`codegym.envs.PromptFormat`.",
        ),
    ]
    start: Annotated[
        str | StartStates,
        Argument(
            "empty",
            '"empty", "cccs", "uniform", "lines", "jsrl", or a `codegym.start_states.StartStates` '
            "shared with others.",
        ),
    ]
    sampler: Annotated[
        str | ProblemSampler,
        Argument(
            "stages",
            'How problems are drawn: "stages", in proportion to their number of stages (as '
            'StepCoder does; the same as uniformly where every problem has one), "uniform", or a '
            "`codegym.envs.ProblemSampler` shared with others.",
        ),
    ]
    reward: Annotated[
        str | Callable[[Grade], float | Mapping[str, float]] | ProcessReward,
        Argument(
            "stepcoder",
            '"stepcoder", "binary", "pass_ratio", "rltf", a callable of the '
            "`codegym.grading.Grade`, or a `codegym.rewards.ProcessReward`.",
        ),
    ]
    max_new_tokens: Annotated[int, Argument(1024, "Budget of generated tokens.")]
    context_length: Annotated[
        int,
        Argument(4096, "L, the length of an observation: prompt, given and generated tokens."),
    ]
    limits: Annotated[
        ExecutionLimits | Mapping[str, float] | None,
        Argument(
            None,
            "What a program may use, per test: a `codegym.ExecutionLimits` or a mapping of its "
            "fields.",
        ),
    ]
    executor: Annotated[
        Executor | str | None,
        Argument(
            None,
            "Runs the programs; None: a local pool of its own; a URL: the `codegym serve` there.",
        ),
    ]
    grader: Annotated[
        Grader | None,
        Argument(
            None,
            "Judges the programs, instead of `limits` and `executor`; `close()` does not close it.",
        ),
    ]


TASK_ARGUMENTS: Mapping[str, Argument] = types.MappingProxyType(
    {
        name: next(one for one in get_args(annotation) if isinstance(one, Argument))
        for name, annotation in get_type_hints(TaskArguments, include_extras=True).items()
    }
)
"""Default and meaning of each argument, by name."""

_PLACEHOLDER = "{task arguments}"
_Class = TypeVar("_Class", bound=type)


def documents_task_arguments(cls: _Class) -> _Class:
    """Class decorator: the line ``{task arguments}`` of the docstring becomes a list of them."""
    listed = "\n".join(
        textwrap.fill(f"- ``{name}`` (default ``{one.default!r}``): {one.doc}", 100 - 4).replace(
            "\n", "\n  "
        )
        for name, one in TASK_ARGUMENTS.items()
    )
    if cls.__doc__ is not None:  # as under python -OO
        cls.__doc__ = inspect.cleandoc(cls.__doc__).replace(_PLACEHOLDER, listed)
    return cls


def complete(arguments: Mapping[str, Any], *, owner: type) -> TaskArguments:
    """The arguments that came, and the defaults of those that did not.

    Args:
        arguments: Keyword arguments.
        owner: The class that was called; its own arguments are known as well.

    Raises:
        UnknownNameError: If an argument is not known; suggests the nearest.
    """
    check_names(arguments, owner)
    defaults = {name: one.default for name, one in TASK_ARGUMENTS.items()}
    return cast(TaskArguments, {**defaults, **arguments})


def check_names(arguments: Mapping[str, Any], owner: type) -> None:
    """Checks that each argument is known.

    Args:
        arguments: Keyword arguments.
        owner: The class that was called; its own arguments are known as well.

    Raises:
        ConfigurationError: If one is known to vector environments only.
        UnknownNameError: If one is not known at all; suggests the nearest.
    """
    for name in arguments:
        if name not in TASK_ARGUMENTS:
            own = inspect.signature(owner).parameters.values()
            named = {one.name for one in own if one.kind is not one.VAR_KEYWORD}
            if name in _VECTOR_ONLY:
                raise ConfigurationError(
                    f"{name} is an argument of vector environments only: make one with "
                    "gymnasium.make_vec, or leave it out."
                )
            raise UnknownNameError("argument", name, {*TASK_ARGUMENTS, *named})


def make_problems(given: TaskArguments) -> ProblemSet:
    """The problems handed in, or those of a source.

    Args:
        given: All arguments.

    Raises:
        ConfigurationError: If both a problem set and a way to load one are given, or if no
            problem is left to draw.
    """
    problems, source, size = given["problems"], given["source"], given["size"]
    loading: list[object] = [given["split"], given["difficulty"], given["data"], size]
    loading += [given["seed"], given["dates"], given["keys"]]
    if problems is None:
        if size is None and isinstance(SOURCES.get(source), GeneratedSource):
            size = _GENERATED_SIZE
        problems = load_problems(
            source,
            data=given["data"],
            split=given["split"],
            difficulty=given["difficulty"],
            size=size,
            seed=given["seed"],
            allow_sample=boolean("allow_sample", given["allow_sample"]),
            packages=given["packages"],
            dates=given["dates"],
            keys=given["keys"],
        )
    elif given["packages"] or any(one is not None for one in loading):
        raise ConfigurationError(
            "Give either problems=<a ProblemSet> or split, difficulty, data, packages, dates, "
            "keys, size, seed to load one, not both. A ProblemSet has filter(), shuffle() and "
            "take()."
        )
    if not isinstance(problems, ProblemSet):
        raise ConfigurationError(
            f"problems must be a ProblemSet, got {type(problems).__name__}. Make one with "
            "codegym.load_problems(...) or ProblemSet.of([...])."
        )
    if given["without"] is not None:
        other = given["without"]
        problems = problems.without(load_problems(other) if isinstance(other, str) else other)
    if len(problems) == 0:
        raise ConfigurationError(
            f"There is no problem to draw: source {source!r}, split {given['split']!r}, difficulty "
            f"{given['difficulty']!r}, dates {given['dates']!r}, without {given['without']!r} "
            f"select nothing. {problems.report}"
        )
    tests = given["tests"]
    return problems if tests is None else problems.with_tests(positive("tests", tests))


def positive(name: str, value: object) -> int:
    """`value` if it is a positive int.

    Raises:
        ConfigurationError: Otherwise.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigurationError(f"{name} must be a positive int, got {value!r}.")
    return value


def boolean(name: str, value: object) -> bool:
    """`value` if it is True or False.

    Raises:
        ConfigurationError: Otherwise.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r}.")
    return value
