"""The functions that a piece of code offers, also of code that stops in the middle."""

from __future__ import annotations

import ast
import dataclasses
import re

from codegym.errors import ProblemError
from codegym.problems.reading.python_code import parse_expression, parse_python

__all__ = ["Parameter", "Signature", "find_signature", "read_signatures"]

_DEF = re.compile(
    r"^(?P<indent>[ \t]*)(?:async\s+)?def\s+(?P<name>\w+)\s*\((?P<parameters>[^()]*)\)",
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """A positional parameter and its annotation, if it has one."""

    name: str
    annotation: ast.expr | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """A function or method.

    Attributes:
        name: The function's name.
        owner: The class it is a method of, or None.
        parameters: Positional parameters, without ``self``.
        required: How many of them have no default.
        variadic: Whether it takes ``*args``.
        returns: The annotation of what it returns.
        line: 1-based line of its ``def``.
        body_line: 1-based line of its first statement.
    """

    name: str
    owner: str | None
    parameters: tuple[Parameter, ...]
    required: int
    variadic: bool = False
    returns: ast.expr | None = None
    line: int = 1
    body_line: int = 2

    @property
    def entry_point(self) -> str:
        """How it is called: ``"name"`` or ``"Class().name"``.

        A method of ``Solution`` is called by its name alone, as the judges of APPS and
        LiveCodeBench do: it is looked for in that class if the program has it, else among its
        functions.
        """
        return self.name if self.owner in (None, "Solution") else f"{self.owner}().{self.name}"

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` positional arguments."""
        return self.required <= count and (self.variadic or count <= len(self.parameters))


def read_signatures(code: str) -> tuple[Signature, ...]:
    """The top-level functions and the methods of top-level classes, in order.

    Code that ends after a signature, or in the middle of a statement, is read as far as it goes.
    """
    tree = _parse_opening(code)
    if tree is None:
        return tuple(_by_pattern(code))
    found: list[Signature] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(_signature(node, None))
        elif isinstance(node, ast.ClassDef):
            found += [_signature(n, node.name) for n in node.body if isinstance(n, ast.FunctionDef)]
    return tuple(found)


def find_signature(name: str | None, *codes: str) -> Signature | None:
    """The function of this name in the first of `codes` that has it.

    Args:
        name: What to look for. Without a name: a public method of ``Solution``, else the only
            function at top level.
        codes: Python sources, such as the starter code and the canonical solution.
    """
    for code in codes:
        signatures = read_signatures(code)
        if name is not None:
            named = [s for s in signatures if s.name == name]
            # The same name at top level and in a class: LeetCode's convention is the method.
            named.sort(key=lambda s: (s.owner != "Solution", s.owner is not None))
            if named:
                return named[0]
            continue
        methods = [s for s in signatures if s.owner == "Solution" and not s.name.startswith("_")]
        functions = [s for s in signatures if s.owner is None]
        if methods:
            return methods[0]
        if len(functions) == 1:
            return functions[0]
    return None


def _parse_opening(code: str) -> ast.Module | None:
    """The syntax tree of code that may lack the body of its last block."""
    text = code.replace("\r\n", "\n").rstrip()
    last = text.splitlines()[-1] if text else ""
    indent = last[: len(last) - len(last.lstrip())]
    for ending in ("\n", f"\n{indent}    pass\n", f"\n{indent}\tpass\n"):
        try:
            return parse_python(text + ending)
        except ProblemError:
            continue
    return None


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str | None) -> Signature:
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    arguments = [*node.args.posonlyargs, *node.args.args]
    skipped = 1 if owner is not None and not static and arguments else 0
    parameters = tuple(Parameter(a.arg, _annotation(a.annotation)) for a in arguments[skipped:])
    return Signature(
        name=node.name,
        owner=owner,
        parameters=parameters,
        required=max(0, len(parameters) - len(node.args.defaults)),
        variadic=node.args.vararg is not None,
        returns=_annotation(node.returns),
        line=node.lineno,
        body_line=node.body[0].lineno,
    )


def _annotation(node: ast.expr | None) -> ast.expr | None:
    """An annotation, with forward references in quotes read as what they name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return parse_expression(node.value)
    return node


def _by_pattern(code: str) -> list[Signature]:
    """Functions of code that is not Python (yet), by their ``def`` lines; no annotations."""
    found = []
    for match in _DEF.finditer(code):
        texts = [p.strip() for p in match["parameters"].split(",") if p.strip()]
        method = bool(match["indent"]) and texts[:1] == ["self"]
        if match["indent"] and not method:
            continue
        plain = [t for t in texts[method:] if not t.startswith("*")]
        names = tuple(Parameter(re.split(r"[:=]", t)[0].strip()) for t in plain)
        required = sum("=" not in t for t in plain)
        variadic = any(t.startswith("*") for t in texts)
        line = code.count("\n", 0, match.start("name")) + 1
        found.append(
            Signature(
                match["name"], "Solution" if method else None, names, required, variadic, line=line
            )
        )
    return found
