"""A window of dates: the problems that came out between two days, both included."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from codegym.errors import ConfigurationError, ProblemError

__all__ = ["DateWindow", "Day", "check_dates", "day_of"]

Day = str | datetime.date | None


class DateWindow(NamedTuple):
    """Two days; None is no limit on that side."""

    first: datetime.date | None
    last: datetime.date | None

    def holds(self, day: datetime.date) -> bool:
        """Whether a day is in the window."""
        after = self.first is None or self.first <= day
        return after and (self.last is None or day <= self.last)


def check_dates(dates: Sequence[Day]) -> DateWindow:
    """The window that a user names.

    Args:
        dates: First and last day, each as ``"2024-08-01"``, as a date, or None.

    Raises:
        ConfigurationError: If that is not what came, or the first day is after the last.
    """
    if isinstance(dates, str) or not isinstance(dates, Sequence) or len(dates) != 2:
        raise ConfigurationError(_wrong(dates))
    first, last = (_day(one, dates) for one in dates)
    if first is None and last is None:
        raise ConfigurationError(_wrong(dates))
    if first is not None and last is not None and first > last:
        raise ConfigurationError(
            f"dates must have the first day first, got {first} and then {last}."
        )
    return DateWindow(first, last)


def day_of(text: str) -> datetime.date:
    """The day that a row's text begins with, such as ``"2023-05-13T00:00:00"``.

    Raises:
        ProblemError: If it begins with none.
    """
    try:
        return datetime.date.fromisoformat(text[:10])
    except ValueError:
        raise ProblemError(f"its date is to be YYYY-MM-DD, got {text!r:.40}") from None


def _day(value: Day, dates: Sequence[Day]) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if value is None or isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigurationError(_wrong(dates)) from None


def _wrong(dates: object) -> str:
    return (
        'dates must be the first and the last day, such as ("2024-08-01", "2025-02-01"), where one '
        f"may be None; got {dates!r:.80}."
    )
