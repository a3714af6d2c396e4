"""Does a script call its own function? Read from its text, before any of it runs."""

from __future__ import annotations

import ast

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def defines_only(text: str, name: str) -> bool:
    """Whether a program defines a function and leaves it to others to call it.

    It calls it itself if a statement outside of functions names it (also below
    ``if __name__ == "__main__"``, and as the target of a thread), or names a function whose body
    names it, and so on; or if a decorator of its own calls what it decorates (``@shown``, or
    ``main = shown(main)``).
    """
    body = ast.parse(text.removeprefix("\ufeff")).body
    functions = {node.name: node for node in body if isinstance(node, _DEFINITIONS)}
    if name not in functions:
        return False
    applied = {node: made for node in body if (made := _decorator(node, name)) is not None}
    decorators = [*functions[name].decorator_list, *applied.values()]
    named = {one.id for one in decorators if isinstance(one, ast.Name)}
    if any(_calls_its_argument(functions[one]) for one in named & functions.keys()):
        return False
    waiting: list[ast.AST] = [
        node for node in body if not isinstance(node, _DEFINITIONS) and node not in applied
    ]
    reached: set[str] = set()
    while waiting:
        for node in ast.walk(waiting.pop()):
            found: object = None
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found = node.id
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                found = node.slice.value
            if isinstance(found, str) and found in functions and found not in reached:
                reached.add(found)
                waiting.append(functions[found])
    return name not in reached


def _decorator(node: ast.stmt, name: str) -> ast.expr | None:
    """What a statement ``name = decorator(name)`` applies; None for any other statement."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
        return None
    names = [getattr(one, "id", None) for one in (*node.targets, *node.value.args)]
    return node.value.func if names == [name, name] else None


def _calls_its_argument(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function calls its first parameter, itself and not in a function that it makes."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    waiting: list[ast.AST] = list(function.body)
    while waiting and parameters:
        node = waiting.pop()
        if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            continue
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == parameters[0].arg:
            return True
        waiting += ast.iter_child_nodes(node)
    return False
