"""Which labelled responses a process reward model is trained on (arXiv 2410.17621, table 2)."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Literal

from agents.prm.storage import LabelledResponse
from codegym.errors import ConfigurationError, UnknownNameError

__all__ = ["Selection", "select", "split_by_problem"]

Selection = Literal["full", "remove_hard", "medium", "revised"]


def select(responses: Sequence[LabelledResponse], how: Selection) -> list[LabelledResponse]:
    """The responses of a strategy.

    A problem is *hard* if no response to it passes, *easy* if all do, else *medium*; the paper's
    own definitions are not known.

    Args:
        responses: Collected.
        how: ``"full"``: all; ``"remove_hard"``: those of problems that are not hard;
            ``"medium"``: those of medium problems; ``"revised"``: those that failed and have a
            recoverable prefix, so that good and bad lines occur in one program (the paper's best).

    Returns:
        In their order.

    Raises:
        ConfigurationError: If none is left.
        UnknownNameError: If there is no such strategy.
    """
    passed: collections.Counter[str] = collections.Counter()
    written: collections.Counter[str] = collections.Counter()
    for response in responses:
        written[response.problem_id] += 1
        passed[response.problem_id] += response.kind == "correct"

    def wanted(response: LabelledResponse) -> bool:
        name = response.problem_id
        if how == "full":
            return True
        if how == "remove_hard":
            return passed[name] > 0
        if how == "medium":
            return 0 < passed[name] < written[name]
        return response.kind == "revised"

    if how not in ("full", "remove_hard", "medium", "revised"):
        raise UnknownNameError("selection", how, ("full", "remove_hard", "medium", "revised"))
    chosen = [response for response in responses if wanted(response)]
    if not chosen:
        kinds = collections.Counter(response.kind for response in responses)
        raise ConfigurationError(
            f"No response is left of {len(responses)} with selection={how!r} (there are "
            f"{dict(kinds)}). Collect more, or choose another selection."
        )
    return chosen


def split_by_problem(
    responses: Sequence[LabelledResponse], *, every: int
) -> tuple[list[LabelledResponse], list[LabelledResponse]]:
    """Training and validation responses; a problem is in one of them only.

    Args:
        responses: Selected.
        every: One problem of so many, in order of first appearance, is for validation.

    Returns:
        Both parts, in their order.

    Raises:
        ConfigurationError: If there are fewer than two problems.
    """
    names = list(dict.fromkeys(response.problem_id for response in responses))
    if len(names) < 2:
        raise ConfigurationError(
            f"A split by problem needs responses to two problems at least, got {len(names)}. "
            "Collect labels on more problems."
        )
    held = set(names[every - 1 :: every] or names[-1:])
    training = [response for response in responses if response.problem_id not in held]
    return training, [response for response in responses if response.problem_id in held]
