"""The table of forms in which chat models write a program, and what is found in each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegym.errors import ConfigurationError
from codegym.programs import extract_program

X, Y = "x = 1\nprint(x)\n", "y = 2\n"
MARKDOWN = 's = """\n```\ncode\n```\n"""\nprint(s)\n'
NESTED = "s = '''\n```python\na\n```\n'''\n"
THOUGHT = f"First\n```python\n{Y}```\n"

# name: (answer, program)
FORMS: dict[str, tuple[str, str | None]] = {
    # One block, in many dresses.
    "python": (f"Here:\n```python\n{X}```\nDone.", X),
    "no language": (f"Here:\n```\n{X}```", X),
    "py": (f"```py\n{X}```", X),
    "upper case": (f"```Python\n{X}```", X),
    "python3": (f"```python3\n{X}```", X),
    "python3.11": (f"```python3.11\n{X}```", X),
    "a title after the language": (f'```python title="a.py"\n{X}```', X),
    "a colon after the language": (f"```python:main.py\n{X}```", X),
    "braces": (f"```{{.python .numberLines}}\n{X}```", X),
    "a space before the language": (f"``` python\n{X}```", X),
    "spaces after the fences": (f"```python  \n{X}```  \n", X),
    "tildes": (f"~~~python\n{X}~~~\n", X),
    "tildes that compute": ("~~~python\nx = [\n~~~5]\n~~~", "x = [\n~~~5]\n"),
    "four backticks": (f"````python\n{X}```\n{Y}````", f"{X}```\n{Y}"),
    "text before the fence": (f"Solution: ```python\n{X}```", X),
    "text that speaks of a fence": (f"I use a ```python fence.\n\n```\n{X}```", X),
    "in a list": ("1. So:\n    ```python\n    if 1:\n        x\n    ```\n", "if 1:\n    x\n"),
    "in a list, flush": (f"- So:\n\n  ```python\n{X}  ```\n", X),
    "indented less than its first line": ("```python\n  x\n y\n```", "x\ny\n"),
    "a tab": ("```python\n\tif 1:\n\t\tx\n```", "if 1:\n\tx\n"),
    "CRLF": ("So:\r\n```python\r\nx = 1\r\n```\r\nDone.", "x = 1\r\n"),
    "closed at the end of a line": ("```python\nx = 1```\nDone.", "x = 1"),
    "closed before an answer tag": (f"<answer>\n```python\n{X}```</answer>", X),
    "blank lines first": (f"```python\n\n{X}```", f"\n{X}"),
    "nothing before": (f"```python\n{X}```", X),
    "not ASCII": ("Größe: ```python\nö = 'ß'\n```", "ö = 'ß'\n"),
    # Fences that are no fences.
    "a fence in a string": (f"```python\n{MARKDOWN}```\nDone.", MARKDOWN),
    "a fence with Python in a string": (f"```python\n{NESTED}```\nDone.", NESTED),
    "a fence in a comment": ("```python\n# as ```a```\nx\n```", "# as ```a```\nx\n"),
    "a fence in a short string": ("```python\ns = '```'\n```", "s = '```'\n"),
    "a string of a whole line": ('```python\ns = ("a"\n"```")\n```', 's = ("a"\n"```")\n'),
    "escaped quotes": ("```python\ns = '\\'```'\n```", "s = '\\'```'\n"),
    "an apostrophe in a comment": (f"```python\n# don't\n{X}```", f"# don't\n{X}"),
    "a string that is never closed": ('```python\ns = """\nx\n```\nDone.', 's = """\nx\n'),
    "a short string never closed": ("```python\ns = 'a\n```\nIt's done.", "s = 'a\n"),
    "a string never closed, then a good program": (
        f'```python\n"""\n```\n```python\n"""d"""\n{X}```',
        f'"""d"""\n{X}',
    ),
    "inline code": ("Use ```x``` here.", "Use ```x``` here."),
    # Several blocks.
    "two of Python": (f"```python\n{X}```\nBetter:\n```python\n{Y}```", Y),
    "Python, then output": (f"```python\n{X}```\nIt prints\n```\n1\n```", X),
    "input, then Python": (f"```\n3\n```\n```python\n{X}```", X),
    "Python, then bash": (f"```python\n{X}```\n```bash\npython x.py\n```", X),
    "two without a language": (f"```\n{X}```\n\n```\n{Y}```", Y),
    "one that is not closed before the next": (f"```python\n{X}```python\n{Y}```", Y),
    "the last is blank": (f"```python\n{X}```\n```python\n\n```", X),
    "C++ that holds backticks": ("```cpp\n// ```x\n```\n```python\ny = 2\n```", Y),
    # Cut off.
    "not closed": (f"So:\n```python\n{X}", X),
    "closed, then one not closed": (f"```python\n{X}```\nOr:\n```python\ny =", X),
    "output closed, Python not": (f"```\n1\n```\n```python\n{X}", X),
    "no language, not closed": (f"So:\n```\n{X}", X),
    "cut off in a string": (f'```python\n{X}```\nOr:\n```python\ns = """\n', X),
    "cut off at the fence": ("So:\n```python", None),
    "cut off after the fence": ("So:\n```python\n", None),
    # None.
    "another language": ("```cpp\nint x;\n```", None),
    "a session": ("```pycon\n>>> 1\n1\n```", None),
    "blank": ("```python\n\n```", None),
    "nothing": ("", None),
    "white space": (" \n\n", None),
    # No fence at all.
    "only code": (X, X),
    "only prose": ("I cannot do that.", "I cannot do that."),
    "a space of SentencePiece before it": (" if 1:\n     x\n", "if 1:\n    x\n"),
    # Reasoning.
    "reasoning": (f"<think>{THOUGHT}</think>\n\n```python\n{X}```", X),
    "reasoning with a fence left open": (f"<think>\n```\n{Y}\n</think>\n```python\n{X}```", X),
    "reasoning, then only code": (f"<think>Hm.</think>{X}", X),
    "reasoning without end": (f"<think>{THOUGHT}Hm", None),
    "reasoning and nothing else": (f"<think>```python\n{Y}```</think>\n", None),
    "reasoning that the prompt opened": (f"{THOUGHT}</think>\n\n```python\n{X}```", X),
    "a program in the reasoning only": (f"{THOUGHT}</think>\n\nSo.", "\n\nSo."),
    "reasoning twice": (f"<think>a</think>\n<think>b</think>\n```python\n{X}```", X),
    "Magistral's tags": (f"[THINK]{THOUGHT}[/THINK]```python\n{X}```", X),
    "a tag in the program": ("```python\ns = '</think>'\n```", "s = '</think>'\n"),
    "reasoning, and a tag in the program": (
        "<think>a</think>\n```python\ns = '</think>'\n```",
        "s = '</think>'\n",
    ),
    "long reasoning": (f"<think>{'Let me see. ```x``` ' * 5000}</think>\n```python\n{X}```", X),
}


@pytest.mark.parametrize(("answer", "program"), FORMS.values(), ids=FORMS)
def test_what_is_found_in_an_answer(answer: str, program: str | None) -> None:
    found = extract_program(answer)
    assert (None if found is None else found.text) == program
    if found is not None:
        assert "".join(answer[start:end] for start, end in found.spans) == found.text


# name: (given, answer, program)
BEGUN = {
    "a fence": ("```python\n", f"{X}```\nDone.", X),
    "a fence, cut off": ("```python\n", X, X),
    "a start state": ("```python\nif 1:\n", "    x\n```\n", "if 1:\n    x\n"),
    "another block after it": ("```python\n", f"{X}```\n```python\n{Y}```", X),
    "another after a start state": ("```python\nx\n", f"```\n```python\n{Y}```", "x\n"),
    "the fence once more": ("```python\n", f"```python\n{X}```", X),
    "reasoning": ("<think>\n", f"{THOUGHT}</think>\n```python\n{X}```", X),
    "reasoning without end": ("<think>\n", THOUGHT, None),
    "reasoning that was skipped": ("<think>\n\n</think>\n\n", f"```python\n{X}```\n", X),
    "prose": ("Sure:\n", f"```python\n{X}```\n", X),
    "a closed block": (f"```python\n{X}```\n", f"```python\n{Y}```\n", Y),
}


@pytest.mark.parametrize(("begun", "answer", "program"), BEGUN.values(), ids=BEGUN)
def test_what_the_prompt_has_begun_counts(begun: str, answer: str, program: str | None) -> None:
    found = extract_program(answer, given=begun)
    assert (None if found is None else found.text) == program


MARKS = ["```", "```python\n", "```\n", "~~~\n", "````", "cpp\n", "<think>", "</think>"]
TEXTS = ["\n", "\r\n", "    ", " ", "'''", '"""', "'", "\\", "#", "x = 1", "ö", "\udc80", "\ud800"]
PIECES = st.lists(st.sampled_from(MARKS + TEXTS), max_size=30)


@settings(max_examples=300)
@given(PIECES, PIECES)
def test_spans_are_those_of_the_text_whatever_comes(begun: list[str], rest: list[str]) -> None:
    text = "".join(begun + rest)
    found = extract_program("".join(rest), given="".join(begun))
    if found is not None:
        assert found.text.strip()
        assert "".join(text[start:end] for start, end in found.spans) == found.text
        places = [place for span in found.spans for place in span]
        assert places == sorted(places)


def test_only_texts_are_answers() -> None:
    with pytest.raises(ConfigurationError, match="answer must be a str, got bytes"):
        extract_program(b"x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="given must be a str, got NoneType"):
        extract_program("x", None)  # type: ignore[arg-type]


def test_a_line_of_tildes_is_read_in_linear_time() -> None:
    # Backtracking would take days; nothing here measures a clock.
    assert extract_program("~" * 20_000 + "`\n") is not None
    found = extract_program("Line:\n" + "~" * 20_000 + " `x`\n```python\nx=1\n```")
    assert found is not None
    assert found.text == "x=1\n"
