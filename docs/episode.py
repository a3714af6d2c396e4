"""Draws the picture of an episode: `python docs/episode.py` writes docs/episode.svg.

It is a real episode of CodeGen-Mini. The agent follows the canonical solution but for one
condition, so that one of its lines never runs: the loss mask leaves that line out.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gymnasium

import codegym

__all__ = ["draw"]

OUT = Path(__file__).with_name("episode.svg")
WIDTH, LINE, LEFT, TOP, CHARACTER, SIDE = 860, 24, 34, 56, 8.43, 470
INK, PALE, RULE = "#1f2328", "#59636e", "#d0d7de"
GIVEN, EXECUTED, SKIPPED = "#ddf4ff", "#aceebb", "#e6eaef"
RIGHT, WRONG = "i == 3", "i < 1"  # the condition of the solution, and the agent's


def draw() -> str:
    """Plays the episode and returns its picture as SVG."""
    env = gymnasium.make("CodeGen-Mini-v0", difficulty="interview", start="cccs")
    obs, info = env.reset(seed=1)
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    tokenizer = code_env.tokenizer
    begun = tokenizer.decode(obs["input_ids"][: info["start_length"]])
    prompt = tokenizer.decode(obs["input_ids"][: info["prompt_length"]])
    solution = code_env.problems.by_id(info["problem_id"]).canonical_solution
    assert RIGHT in solution[len(begun) :]
    tokens = tokenizer.encode(solution[len(begun) :].replace(RIGHT, WRONG))
    first = info["start_length"]
    for token in [*tokens, tokenizer.end_id]:
        _, reward, _, _, info = env.step(token)
    env.close()
    texts = [tokenizer.decode([token]) for token in tokens]
    mask = info["loss_mask"][first : first + len(texts)].tolist()
    return _svg(
        prompt, begun[len(prompt) :], list(zip(texts, mask, strict=True)), float(reward), info
    )


def _svg(
    prompt: str, given: str, generated: list[tuple[str, int]], reward: float, info: dict[str, Any]
) -> str:
    shown, given_lines = prompt.splitlines(), given.splitlines()
    first, last = len(shown) + len(given_lines), len(info["program"].splitlines())
    bottom = TOP + last * LINE + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 78}" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace" '
        f'font-size="14" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{bottom + 78}" rx="8" fill="#ffffff" stroke="{RULE}"/>',
        _label(LEFT, 32, "One episode: a token is an action, a program an episode", weight="bold"),
        _box(LEFT - 6, TOP + len(shown) * LINE, SIDE - LEFT - 20, len(given_lines) * LINE, GIVEN),
        *(_code(LEFT, k, line) for k, line in enumerate([*shown, *given_lines])),
        *_chips(generated, first),
    ]
    notes = [
        (0, len(shown), "prompt", "the problem, and the header of the program"),
        (len(shown), first, "start state", "given code, up to a conditional (CCCS)"),
        (first, last, "actions", "one token a step"),
    ]
    for begin, end, title, text in notes:
        parts += _note(begin, end, title, text)
    parts += [
        f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - LEFT}" y2="{bottom}" stroke="{RULE}"/>',
        _label(LEFT, bottom + 28, "sandbox → grade → reward and loss mask", weight="bold"),
        _label(
            LEFT,
            bottom + 54,
            f"{info['verdict']}, {info['tests_passed']} of {info['tests_total']} tests; "
            f"reward {reward:+.1f}",
        ),
        _chip(SIDE + 6, bottom + 39, "executed: mask 1", EXECUTED),
        _chip(SIDE + 160, bottom + 39, "not executed: mask 0", SKIPPED),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _chips(generated: list[tuple[str, int]], first: int) -> list[str]:
    """The generated tokens, each a chip where it stands, coloured by the loss mask."""
    chips, row, column = [], first, 0
    for text, executed in generated:
        visible, x = text.rstrip("\n"), LEFT + column * CHARACTER
        shown = visible + ("⏎" if text.endswith("\n") else "")
        chips.append(_chip(x, TOP + row * LINE + 2, shown, EXECUTED if executed else SKIPPED))
        column += len(visible)
        if text.endswith("\n"):
            row, column = row + 1, 0
    return chips


def _chip(x: float, y: float, text: str, colour: str) -> str:
    width = len(text) * CHARACTER - 1
    box = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" rx="3" fill="{colour}"/>'
    return box + _label(x, y + 15, text)


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{colour}"/>'


def _code(x: float, row: int, text: str) -> str:
    return _label(x, TOP + row * LINE + 17, text, PALE if text.startswith("#") else INK)


def _note(begin: int, end: int, title: str, text: str) -> list[str]:
    """A bracket beside some lines, and what they are."""
    top, bottom = TOP + begin * LINE + 3, TOP + end * LINE - 3
    middle = (top + bottom) / 2
    return [
        f'<path d="M{SIDE - 14} {top}h6v{bottom - top}h-6" fill="none" stroke="{PALE}"/>',
        _label(SIDE + 6, middle - 3, title, weight="bold"),
        _label(SIDE + 6, middle + 15, text, PALE),
    ]


def _label(x: float, y: float, text: str, colour: str = INK, *, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-weight="{weight}" '
        f'xml:space="preserve">{html.escape(text)}</text>'
    )


if __name__ == "__main__":
    OUT.write_text(draw(), encoding="utf-8")
