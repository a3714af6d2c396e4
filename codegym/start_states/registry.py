"""Start distributions by name, so that an environment's spec stays plain data."""

from __future__ import annotations

from collections.abc import Callable

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.start_states.curriculum import CurriculumOfSubtasks
from codegym.start_states.jump_start import JumpStart
from codegym.start_states.prefix import EmptyPrefix, LinePrefixes, UniformPrefixes
from codegym.start_states.start_state import StartStates

__all__ = ["make_start_states"]

_BY_NAME: dict[str, Callable[[], StartStates]] = {
    "empty": EmptyPrefix,
    "cccs": CurriculumOfSubtasks,
    "uniform": UniformPrefixes,
    "lines": LinePrefixes,
    "jsrl": JumpStart,
}


def make_start_states(spec: str | StartStates) -> StartStates:
    """The distribution of a name, or the one handed in.

    Args:
        spec: ``"empty"``, ``"cccs"``, ``"uniform"``, ``"lines"``, ``"jsrl"``, or an object.

    Raises:
        UnknownNameError: If the name is not one of these.
        ConfigurationError: If it is neither a name nor a :class:`StartStates`.
    """
    if isinstance(spec, str):
        if spec not in _BY_NAME:
            raise UnknownNameError("start distribution", spec, _BY_NAME)
        return _BY_NAME[spec]()
    if isinstance(spec, StartStates):
        return spec
    raise ConfigurationError(
        f"start must be one of {', '.join(map(repr, _BY_NAME))} or an object with the methods of "
        f"codegym.start_states.StartStates, got {type(spec).__name__}."
    )
