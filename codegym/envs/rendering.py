"""An episode as text for a terminal."""

from __future__ import annotations

from codegym.envs.episode import Episode
from codegym.envs.outcome import Outcome
from codegym.errors import RenderModeError
from codegym.programs.program import Program

__all__ = ["RENDER_MODES", "checked_render_mode", "render_ansi"]

RENDER_MODES = ["ansi"]
"""The ways in which an environment can be shown."""

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_GREEN, _RED, _CYAN = "\x1b[32m", "\x1b[31m", "\x1b[36m"


def checked_render_mode(render_mode: object) -> str | None:
    """A render mode, or None.

    Raises:
        RenderModeError: If there is no such mode.
    """
    if render_mode is None:
        return None
    if not isinstance(render_mode, str) or render_mode not in RENDER_MODES:
        raise RenderModeError(f'render_mode must be None or "ansi", got {render_mode!r}.')
    return render_mode


def render_ansi(episode: Episode, program: Program | None, outcome: Outcome | None) -> str:
    """The program with line numbers, its boundary of given code, and what became of it.

    Where the program is found in an answer, that program alone, once it is there.

    A ``●`` marks executed lines, a ``·`` lines that were not (known when the episode has
    ended). Given code is dim; a rule stands where generated code begins.

    Args:
        episode: What reset drew.
        program: The program so far; None if there is none in the answer.
        outcome: What the last step returned, or None while the episode runs.
    """
    executed = frozenset(outcome.info["executed_lines"]) if outcome else frozenset()
    program = Program("") if program is None else program
    written_from = 0 if episode.prompt.answer else episode.written_from
    boundary = program.source[:written_from].count(b"\n") + 1
    parts = [_title(episode)]
    for line in range(1, program.num_lines + 1):
        if line == boundary:
            parts.append(_rule(episode))
        source = program.source[program.line_start(line) : program.line_end(line)]
        text = source.decode("utf-8", "replace").rstrip("\r\n")
        mark = " " if outcome is None else f"{_GREEN}●{_RESET}" if line in executed else "·"
        style = _DIM if line < boundary else ""
        parts.append(f"{line:4d} {mark} {style}{text}{_RESET if style else ''}")
    if boundary > program.num_lines:
        parts.append(_rule(episode))
    if outcome:
        parts.append(_verdict(outcome))
    return "\n".join(parts) + "\n"


def _title(episode: Episode) -> str:
    start = episode.start
    stage = "a literal prefix" if start.stage < 0 else f"stage {start.stage} of {start.num_stages}"
    problem = episode.problem
    return f"{_BOLD}{problem.id}{_RESET} ({problem.difficulty}, {stage})"


def _rule(episode: Episode) -> str:
    if episode.prompt.answer:
        given = "the program in the answer"
    else:
        given = "given above, generated below" if episode.written_from else "all is generated"
    return f"{_CYAN}     ─── {given} ───{_RESET}"


def _verdict(outcome: Outcome) -> str:
    info = outcome.info
    colour = _GREEN if info["verdict"] == "accepted" else _RED
    error = f" ({info['error_type']})" if info["error_type"] else ""
    return (
        f"{_BOLD}{colour}{info['verdict']}{_RESET}{error}  tests "
        f"{info['tests_passed']}/{info['tests_total']}  coverage {info['coverage']:.0%}  reward "
        f"{sum(info['reward_terms'].values()):+.2f}"
    )
