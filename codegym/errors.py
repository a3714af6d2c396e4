"""The exceptions of codegym, one tree.

A program that is wrong, crashes or never ends is *data*: it gets a verdict. An exception from
this tree means that the caller or codegym itself is at fault, and is never turned into a reward::

    CodegymError
    ├── ConfigurationError        an argument has no meaning: wrong name, type or range (ValueError)
    │   ├── UnknownNameError      a name is not one of the legal ones; suggests the nearest
    │   ├── RenderModeError       the environment has no such render mode (TypeError)
    │   └── RequestTooLargeError  a request is longer than the executor can take
    ├── DataError                 a data set cannot be used
    │   ├── DataNotFoundError     the file is on no search path and could not be downloaded
    │   │   └── OfflineError      no connection could be made to download it
    │   └── DataFormatError       the file is there, but it is not a data set of the expected format
    ├── ProblemError              one problem cannot be used (no tests, no solution, ...)
    │   └── JudgeError            its checker failed on an answer, so there is no verdict
    ├── TokenizationError         text and tokens cannot be converted into each other exactly
    ├── StartStateError           a start state does not exist (not a prefix, no such stage)
    ├── ContextLengthError        prompt and given code do not fit the context
    ├── EpisodeError              the environment was used out of order
    │   ├── InvalidActionError    the action is not a token id of the action space
    │   ├── ResetNeededError      step() before the first reset() or after the end
    │   └── ClosedError           the environment or pool was closed
    ├── RewardError               a reward function returned something that is not a reward
    ├── GenerationError           a model that was to write programs cannot be had, or wrote nothing
    └── ExecutionError            codegym could not run a program (never the program's fault)
        ├── WorkerError           a worker process died or answered nonsense, also when retried
        ├── ServerError           a server that runs programs cannot be reached, or failed
        └── IsolationError        this machine cannot enforce what `isolation="strict"` asks for

Three warnings are not in the tree: :class:`IsolationWarning`, the same under ``isolation="auto"``;
:class:`SampleDataWarning`, where codegym's sample stands in for a data set; and
:class:`StartStateWarning`, where a start distribution has no solution to take prefixes of.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ClosedError",
    "CodegymError",
    "ConfigurationError",
    "ContextLengthError",
    "DataError",
    "DataFormatError",
    "DataNotFoundError",
    "EpisodeError",
    "ExecutionError",
    "GenerationError",
    "InvalidActionError",
    "IsolationError",
    "IsolationWarning",
    "JudgeError",
    "OfflineError",
    "ProblemError",
    "RenderModeError",
    "RequestTooLargeError",
    "ResetNeededError",
    "RewardError",
    "SampleDataWarning",
    "ServerError",
    "StartStateError",
    "StartStateWarning",
    "TokenizationError",
    "UnknownNameError",
    "WorkerError",
]


class CodegymError(Exception):
    """Base class: catch this to catch everything that codegym raises on purpose."""


class ConfigurationError(CodegymError, ValueError):
    """An argument has no meaning: wrong type, range or combination."""


class UnknownNameError(ConfigurationError):
    """A name is not one of the legal ones.

    Args:
        kind: What was named, such as ``"reward"``.
        name: The name that came.
        legal: The names that are known, or some of them.
        known: How many are known, if `legal` are some of them.
    """

    def __init__(
        self, kind: str, name: object, legal: Iterable[str], *, known: int | None = None
    ) -> None:
        self.kind, self.name, self.legal = kind, name, tuple(sorted(legal))
        near = _nearest(str(name)[:_NAME_CHARACTERS], self.legal)
        hint = "" if near is None else f" Did you mean {near!r}?"
        all_are_listed = known is None or known == len(self.legal)
        are = "Known are:" if all_are_listed else f"There are {known}, such as"
        names = ", ".join(map(repr, self.legal))
        super().__init__(f"Unknown {kind} {name!r:.{_NAME_CHARACTERS}}.{hint} {are} {names}.")


_NAME_CHARACTERS = 200  # to look for what is like a name takes forty times its memory


def _nearest(name: str, legal: Iterable[str]) -> str | None:
    """The legal name that is most like a name, in another case if need be."""
    for spelled in ({one: one for one in legal}, {one.casefold(): one for one in legal}):
        for near in difflib.get_close_matches(name, spelled, n=1):
            return spelled[near]
        name = name.casefold()
    return None


class RenderModeError(ConfigurationError, TypeError):
    """The environment has no such render mode.

    Also a TypeError: libraries that ask for a mode by default, such as Stable-Baselines3's
    `make_vec_env`, take that for an environment without it, and go on without.
    """


class RequestTooLargeError(ConfigurationError):
    """A request is longer than an executor can take; one with fewer inputs may not be.

    Attributes:
        most_bytes: How many bytes it takes; 0 if that is not known.
    """

    def __init__(self, message: str, most_bytes: float = 0) -> None:
        self.most_bytes = most_bytes
        super().__init__(message)


class DataError(CodegymError):
    """A data set cannot be used."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A data set is on no search path and could not be downloaded."""


class OfflineError(DataNotFoundError):
    """A data set is on no search path, and no connection could be made to download it."""


class DataFormatError(DataError, ValueError):
    """A file is there, but it is not a data set of the expected format."""


class ProblemError(CodegymError, ValueError):
    """One problem cannot be used: it has no tests, no solution, or contradicts itself."""


class JudgeError(ProblemError):
    """A problem's checker failed on an answer, so that there is no verdict on it."""


class TokenizationError(CodegymError, ValueError):
    """Text and tokens cannot be converted into each other without loss."""


class StartStateError(CodegymError, ValueError):
    """A start state does not exist: not a prefix of the solution, or no such stage."""


class ContextLengthError(CodegymError, ValueError):
    """Prompt and given code do not leave room for a single new token."""


class EpisodeError(CodegymError):
    """The environment was used out of order."""


class InvalidActionError(EpisodeError, ValueError):
    """The action is not a token id of the action space."""


class ResetNeededError(EpisodeError, RuntimeError):
    """step() was called before the first reset() or after the end of an episode."""


class ClosedError(EpisodeError, RuntimeError):
    """The environment or the pool was used after close()."""


class RewardError(CodegymError, ValueError):
    """A reward function returned something that is not a reward."""


class GenerationError(CodegymError, RuntimeError):
    """A model that was to write programs cannot be had, refuses, or gave no answer."""


class ExecutionError(CodegymError, RuntimeError):
    """Codegym could not run a program. Never the program's fault, never a reward."""


class WorkerError(ExecutionError):
    """A worker process died or answered nonsense, and did so again on the retry."""


class ServerError(ExecutionError):
    """A server that runs programs cannot be reached, has no room, or did not answer as one."""


class IsolationError(ExecutionError):
    """This machine cannot enforce what was asked for."""


class IsolationWarning(RuntimeWarning):
    """A machine cannot enforce everything, and programs are run there all the same."""


class SampleDataWarning(UserWarning):
    """A data set could not be had, and a sample in its format is used in its place."""


class StartStateWarning(UserWarning):
    """A start distribution needs canonical solutions, and no problem of the set has one."""
