"""The suite: every case, by name."""

from __future__ import annotations

from . import (
    attacks_host,
    attacks_resources,
    cheats,
    honest_answers,
    honest_programs,
    honest_streams,
    wrong,
)
from .case import Case

CASES: tuple[Case, ...] = (
    *honest_streams.CASES,
    *honest_programs.CASES,
    *honest_answers.CASES,
    *wrong.CASES,
    *cheats.CASES,
    *attacks_resources.CASES,
    *attacks_host.CASES,
)
"""All cases, honest programs first."""
