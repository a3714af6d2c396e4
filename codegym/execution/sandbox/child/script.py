"""Does a script call its own function? Read from its text, before any of it runs."""

from __future__ import annotations

import ast

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def defines_only(text: str, name: str) -> bool:
    """Whether a program defines a function and leaves it to others to call it.

    It calls it itself if a statement outside of functions names it (also below
    ``if __name__ == "__main__"``, and as the target of a thread), or names a function whose body
    names it, and so on.
    """
    body = ast.parse(text.removeprefix("\ufeff")).body
    functions = {node.name: node for node in body if isinstance(node, _DEFINITIONS)}
    if name not in functions:
        return False
    waiting: list[ast.AST] = [node for node in body if not isinstance(node, _DEFINITIONS)]
    reached: set[str] = set()
    while waiting:
        for node in ast.walk(waiting.pop()):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and node.id in functions
                and node.id not in reached
            ):
                reached.add(node.id)
                waiting.append(functions[node.id])
    return name not in reached
