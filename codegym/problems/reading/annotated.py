"""JSON values as the annotated types of a signature mean them.

JSON knows no linked lists, trees, tuples or integer keys. Where an annotation says what a value
is, it is converted; where nothing says so, the value stays as it is.
"""

from __future__ import annotations

import ast
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import BinaryTree, LinkedList
from codegym.problems.reading.json_values import parse_json
from codegym.problems.reading.python_code import parse_expression

__all__ = ["as_annotated", "has_text_keys", "is_list_like", "mentions_node", "tree_values"]

_LISTS = {"List", "list", "Sequence", "Iterable", "Collection", "MutableSequence", "Deque"}
_MAPPINGS = {
    *("Dict", "dict", "Mapping", "MutableMapping", "DefaultDict", "defaultdict"),
    *("OrderedDict", "Counter", "ChainMap"),
}
_CONTAINERS = _LISTS | {"Tuple", "tuple", "Set", "set", "FrozenSet"} | _MAPPINGS
_NODES = {"ListNode", "TreeNode"}


def as_annotated(value: Any, annotation: ast.expr | None) -> Any:
    """A JSON value as an annotation means it.

    ``ListNode`` and ``TreeNode`` become :class:`LinkedList` and :class:`BinaryTree`, also inside
    of ``Optional`` and ``List``. Text becomes the number, boolean or container that is annotated.

    Raises:
        ProblemError: If the annotation names a node but the value is not a list.
    """
    annotation = _without_none(annotation)
    name, items = _name(annotation), _items(annotation)
    if name in _NODES:
        return _as_node(value, name)
    if isinstance(value, str) and annotation is not None:
        value = _from_text(value, name)
    if name in _LISTS and len(items) == 1 and isinstance(value, list):
        return [as_annotated(item, items[0]) for item in value]
    if name in _MAPPINGS and len(items) == 2 and isinstance(value, dict):
        return {as_annotated(k, items[0]): as_annotated(v, items[1]) for k, v in value.items()}
    return value


def is_list_like(annotation: ast.expr | None) -> bool | None:
    """Whether values of this type are lists in JSON; None if the annotation does not tell."""
    annotation = _without_none(annotation)
    name = _name(annotation)
    if name in _CONTAINERS | _NODES:
        return name not in _MAPPINGS
    return False if name in {"int", "float", "str", "bool"} else None


def has_text_keys(annotation: ast.expr | None) -> bool:
    """Whether an annotation says that the keys of a dictionary are texts."""
    annotation = _without_none(annotation)
    items = _items(annotation)
    return _name(annotation) in _MAPPINGS and bool(items) and _name(items[0]) in {"str", "AnyStr"}


def mentions_node(annotation: ast.expr | None) -> bool:
    """Whether ``ListNode`` or ``TreeNode`` occurs in an annotation."""
    return annotation is not None and any(
        (isinstance(node, ast.Name) and node.id in _NODES)
        or (isinstance(node, ast.Constant) and node.value in _NODES)
        for node in ast.walk(annotation)
    )


def tree_values(values: list[Any]) -> tuple[Any, ...]:
    """Level-order values without the gaps and leftovers that name no node.

    Example:
        >>> tree_values([1, None, 2, None, None]), tree_values([1, None, None, 5])
        ((1, None, 2), (1,))
    """
    if not values or values[0] is None:
        return ()
    kept, parents, position = [values[0]], 1, 1
    while parents and position < len(values):
        level = values[position : position + 2 * parents]
        position += 2 * parents
        kept += level + [None] * (2 * parents - len(level))
        parents = sum(value is not None for value in level)
    while kept[-1] is None:
        kept.pop()
    return tuple(kept)


def _as_node(value: Any, name: str) -> LinkedList | BinaryTree:
    if value is None:
        value = []
    if isinstance(value, str):
        value = _from_text(value, "list")
    if not isinstance(value, list):
        raise ProblemError(
            f"the signature asks for a {name}, which must be given as a list of values; "
            f"got {value!r:.60}"
        )
    return LinkedList(tuple(value)) if name == "ListNode" else BinaryTree(tree_values(value))


def _from_text(text: str, name: str) -> Any:
    """Text as a number, boolean or container, if that is what `name` asks for and the text is."""
    wanted: tuple[type, ...]
    if name in _CONTAINERS:
        wanted = (list, dict)
    elif name in {"int", "float", "bool"}:
        wanted = {"int": (int,), "float": (int, float), "bool": (bool,)}[name]
    else:
        return text
    try:
        value = parse_json({"True": "true", "False": "false"}.get(text.strip(), text))
    except ValueError:
        return text
    is_bool = isinstance(value, bool)
    return value if isinstance(value, wanted) and is_bool == (name == "bool") else text


def _without_none(annotation: ast.expr | None) -> ast.expr | None:
    """``X`` of ``Optional[X]``, ``X | None``, ``Union[X, None]`` and ``"X"``."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _without_none(parse_expression(annotation.value))
    options: list[ast.expr] = []
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        options = [annotation.left, annotation.right]
    elif _name(annotation) in {"Optional", "Union"}:
        options = list(_items(annotation))
    real = [o for o in options if not (isinstance(o, ast.Constant) and o.value is None)]
    if options:
        return _without_none(real[0]) if len(real) == 1 else None
    return annotation


def _name(annotation: ast.expr | None) -> str:
    if isinstance(annotation, ast.Subscript):
        return _name(annotation.value)
    if isinstance(annotation, ast.Attribute):
        return annotation.attr
    return annotation.id if isinstance(annotation, ast.Name) else ""


def _items(annotation: ast.expr | None) -> tuple[ast.expr, ...]:
    if not isinstance(annotation, ast.Subscript):
        return ()
    inner = annotation.slice
    return tuple(inner.elts) if isinstance(inner, ast.Tuple) else (inner,)
