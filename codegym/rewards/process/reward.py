"""The reward of an environment whose lines are scored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from codegym.errors import ConfigurationError
from codegym.grading.verdict import Grade
from codegym.programs.lines import NEUTRAL, LineReader
from codegym.rewards.process.forms import ProcessForm, make_process_form
from codegym.rewards.process.scorer import AnyScorer
from codegym.rewards.registry import make_reward

__all__ = ["PROCESS", "ProcessReward"]

PROCESS = "process"
"""The name of the reward's term."""


class ProcessReward:
    r"""The outcome of the unit tests, and what the scores of the lines add to it.

    Four forms say what a score is worth: ``"outcome"`` (:class:`~codegym.rewards.OutcomeWeighted`),
    ``"online"`` (:class:`~codegym.rewards.RunningMean`), ``"difference"``
    (:class:`~codegym.rewards.Difference`) and ``"potential"``
    (:class:`~codegym.rewards.Potential`). A name stands for the form with its default weight; for
    another weight, hand in the form itself.

    No failing program is paid more than a solved one, whatever the scorer, as long as the form's
    ``spread`` is less than the gap between the outcome of a solved and that of the best failing
    program: 1 for ``"binary"``, so that weights below 0.5 are safe, 1.3 for ``"stepcoder"``. Other
    weights are refused for these two, and for any outcome that has an attribute ``margin``, the
    gap. ``"pass_ratio"`` and ``"rltf"`` have none: there, it is not checked.

    Neutral lines (comments, blank lines, docstrings, statements that do nothing, repeats; see
    :data:`codegym.programs.NEUTRAL`) are not scored: they cost nothing, and do not count in T.

    Args:
        scorer: Scores the lines, see :class:`~codegym.rewards.LineScorer`.
        outcome: The reward of the grade: a name or callable, see
            :func:`~codegym.rewards.make_reward`. Must have no term named ``"process"``.
        form: How scores become rewards: a name or a :class:`~codegym.rewards.ProcessForm`.
        neutral: The kinds of lines that are neutral.

    Raises:
        ConfigurationError: If an argument has no meaning, or if the weights let a failing program
            be paid more than a solved one.

    Example:
        >>> from codegym.rewards.process.forms import RunningMean
        >>> def half(tokens, ends):
        ...     return [0.5 for each in ends for end in each]
        >>> reward = ProcessReward(half, form=RunningMean(weight=0.2))
        >>> reward.form.token_rewards([1, 3], [1.0, -0.5], 5, solved=None).round(4).tolist()
        [0.0, 0.2, 0.0, -0.15, 0.0]
    """

    def __init__(
        self,
        scorer: AnyScorer,
        outcome: str | Callable[[Grade], float | Mapping[str, float]] = "binary",
        *,
        form: str | ProcessForm = "outcome",
        neutral: Collection[str] = NEUTRAL,
    ) -> None:
        if not callable(scorer):
            raise ConfigurationError(
                "scorer must be callable with tokens and ends, got "
                f"{type(scorer).__name__}. See codegym.rewards.LineScorer."
            )
        if isinstance(neutral, str):
            raise ConfigurationError(f"neutral must be a collection of names, got {neutral!r}.")
        LineReader(neutral)  # raises if a name is unknown
        self.scorer, self.neutral = scorer, tuple(neutral)
        self.outcome = make_reward(outcome)
        self.form = make_process_form(form)
        margin = getattr(self.outcome, "margin", getattr(outcome, "margin", None))
        if margin is not None and 0 < margin <= self.form.spread:
            raise ConfigurationError(
                f"The scores may count for {self.form.spread:g}: with outcomes that are "
                f"{margin:g} apart, a failing program could be paid more than a solved one. Lower "
                f"the weights of {self.form!r}."
            )
