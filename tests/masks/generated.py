"""Random programs that end: statements of all kinds, on lines of their own and on shared ones."""

from __future__ import annotations

import random

_SIMPLE = (
    "x = n",
    "n += 1",
    "n",
    "pass",
    "...",
    "'text'",
    "assert True",
    "z: int = 1",
    "w: int",
    "import math",
    "(v := n)",
    "print(end='')",
    "u = lambda: (n, m)",
    "t = [i for i in range(3) if i]",
    "s = f'{n!r:>{3}}:{m}'",
    "r = (1,\n{0}     n)",
    "q = '''\n  a: b; c'''",
    "del [0, 1][:]",
    "k = {}; k['a'] = 1",
    "1 // (n % 4)",
    "[][n % 2 - 1]",
    "return n",
    "raise KeyError(n)",
)
_TESTS = ("n % 2", "n % 3 == m", "m < 2", "n > 90", "True", "not m", "n % 2 and m % 2", "0", "1")


class Program:
    """Writes one program.

    Args:
        rng: What it is drawn from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._whiles = 0
        self._calls: tuple[str, ...] = ()

    def text(self) -> str:
        """A program that defines `f(n)`."""
        helper = self._function("g", 1)
        self._calls = ("m = g(n)",) * 2  # and g calls nothing: all ends
        return f"{helper}{self._function('f', 2)}"

    def _function(self, name: str, depth: int) -> str:
        return f"def {name}(n, m=1):\n{self._block(1, depth, loop=False)}"

    def _block(self, indent: int, depth: int, *, loop: bool) -> str:
        count = self._rng.randint(1, 3)
        return "".join(self._statement(indent, depth, loop) for _ in range(count))

    def _line(self, indent: int, loop: bool) -> str:
        """Simple statements joined by semicolons."""
        kinds = [*_SIMPLE, *self._calls] + ["break", "continue"] * 2 * loop
        count = self._rng.choice((1, 1, 1, 2, 3))
        parts = self._rng.choices(kinds, k=count)
        return self._rng.choice(("; ", ";")).join(parts).replace("{0}", "    " * indent) + "\n"

    def _body(self, indent: int, depth: int, loop: bool) -> str:
        if depth == 0 or self._rng.random() < 0.5:
            return " " + self._line(indent, loop)
        comment = self._rng.choice(("", "  # why: this; that"))
        return f"{comment}\n{self._block(indent + 1, depth - 1, loop=loop)}"

    def _statement(self, indent: int, depth: int, loop: bool) -> str:
        space = "    " * indent
        draw = self._rng.choice
        if depth == 0 or self._rng.random() < 0.4:
            return space + self._line(indent, loop)

        def body(loop: bool = loop) -> str:
            return self._body(indent, depth, loop)

        def maybe(head: str, loop: bool = loop) -> str:
            return f"{space}{head}{body(loop)}" if self._rng.random() < 0.5 else ""

        match draw(("if", "for", "while", "try", "with", "match", "def", "class")):
            case "if":
                middle = maybe(f"elif {draw(_TESTS)}:")
                return f"{space}if {draw(_TESTS)}:{body()}{middle}{maybe('else:')}"
            case "for":
                items = draw(("[]", "(1, 2)", "range(m)"))
                return f"{space}for m in {items}:{body(True)}{maybe('else:')}"
            case "while":
                self._whiles += 1
                left = f"c{self._whiles}"  # bounds it
                head = f"{space}{left} = iter((1, 1, 0))\n{space}while {draw(_TESTS)}"
                return f"{head} and next({left}, 0):{body(True)}{maybe('else:')}"
            case "try":
                kind = draw(("KeyError", "ZeroDivisionError", "(IndexError, ValueError)"))
                handlers = f"{space}except {kind}:{body()}{maybe('except LookupError as e:')}"
                handlers += maybe("except:")
                return f"{space}try:{body()}{handlers}{maybe('else:')}{maybe('finally:', False)}"
            case "with":
                return f"{space}with memoryview(b'') as a, memoryview(b''):{body()}"
            case "match":
                inner = "    " * (indent + 1)
                cases = [
                    f"{inner}case {draw(('0', '1 | 2', 'int() as j', '[a, b]', 'x'))}"
                    f"{draw((' if n % 2', ' if m'))}:{self._body(indent + 1, depth, loop)}"
                    for _ in range(self._rng.randint(1, 3))
                ]
                cases.append(f"{inner}case _:{self._body(indent + 1, depth, loop)}")
                return f"{space}match {draw(('n % 4', '[n, m]'))}:\n{''.join(cases)}"
            case "def":
                name = draw("hijkl")
                return f"{space}def {name}(n, m=2):{self._body(indent, depth, False)}"
            case _:
                return f"{space}class C: a = n; b = m\n"
