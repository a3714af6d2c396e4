"""Syntax of a program, read with tree-sitter: conditionals, statements, comments.

tree-sitter also reads text that is not a valid program, which a policy writes often. This module
finds places; it does not say what they are worth or whether they ran.
"""

from __future__ import annotations

import codecs
import dataclasses
import functools
import io
import itertools
import tokenize
import warnings
from collections.abc import Iterator

import tree_sitter
import tree_sitter_python

from codegym.errors import UnknownNameError
from codegym.programs.program import Program

__all__ = [
    "CONDITIONALS",
    "Statement",
    "comments",
    "conditional_starts",
    "does_nothing",
    "statements",
]

CONDITIONALS = ("if", "elif", "for", "while", "case", "try")
"""The kinds of statement that count as conditional by default (StepCoder does not name its own)."""

_CONDITIONAL_NODES = {
    "if": "if_statement",
    "elif": "elif_clause",
    "for": "for_statement",
    "while": "while_statement",
    "match": "match_statement",
    "case": "case_clause",
    "try": "try_statement",
    "with": "with_statement",
    "except": "except_clause",
    "else": "else_clause",
}
_COMPOUND = frozenset(
    {
        "if_statement",
        "elif_clause",
        "else_clause",
        "for_statement",
        "while_statement",
        "match_statement",
        "case_clause",
        "try_statement",
        "except_clause",
        "except_group_clause",
        "finally_clause",
        "with_statement",
        "function_definition",
        "class_definition",
    }
)
_NOT_SIMPLE = _COMPOUND | {"comment", "decorated_definition"}
_BLOCKS = frozenset({"module", "block"})
_WITH_BLOCKS = _COMPOUND | _BLOCKS | {"decorated_definition"}
# Headers that may have no code of their own: they are executed when something below them is.
_SILENT_HEADERS = frozenset({"else_clause", "finally_clause", "try_statement", "case_clause"})
# Declarations that have no code at all: they take effect with the block that holds them.
_DECLARATIONS = frozenset({"global_statement", "nonlocal_statement"})
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_FORMATTED = frozenset(b"fFtTbB")  # prefixes of what is not a docstring
# An expression that holds none of these does nothing but fail.
_EFFECTS = frozenset(
    {"call", "await", "yield", "named_expression", "assignment", "augmented_assignment"}
)
_PARSER_LANGUAGE = tree_sitter.Language(tree_sitter_python.language())


Span = tuple[int, int]
"""Byte offsets of a first byte and of one past the last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A simple statement, or the header of a compound one (``if x:``, ``def f(a, b):``).

    Attributes:
        start: Byte offset of its first byte.
        end: Byte offset after its last byte.
        first_line: 1-based.
        last_line: 1-based; a statement over several lines is one statement.
        column: Offset of its first byte in its line, in bytes from 0, without a byte order mark.
        begins_line: Whether nothing but white space stands before it on its first line.
        evidence: Byte offsets ``(start, end)`` between which other statements start whose
            execution proves that this one took effect, for statements without code of their own
            (``else:``, ``global``).
    """

    start: int
    end: int
    first_line: int
    last_line: int
    column: int
    begins_line: bool
    evidence: tuple[int, int] | None = None


def _parse(program: Program) -> tuple[tree_sitter.Node, list[Span]]:
    """The tree of a program, and the byte spans of comments that are not in it.

    The grammar takes a line for the end of a block if it is indented less, also where brackets are
    open and an operand must follow. Python does not; it is asked if the grammar finds an error.
    """
    parser = tree_sitter.Parser(_PARSER_LANGUAGE)
    root = parser.parse(program.source).root_node
    if root.has_error and (joined := _join_lines(program)) is not None:
        source, hidden = joined
        again = parser.parse(source).root_node
        if not again.has_error:
            return again, hidden
    return root, []


def _join_lines(program: Program) -> tuple[bytes, list[Span]] | None:
    """The program with spaces for line ends and comments within brackets, which it gives as well.

    None if it is not a program.
    """
    source = bytearray(program.source)
    hidden = []
    depth = 0
    lines = program.text.split("\n")
    starts = [0, *itertools.accumulate(len(_encoded(line)) + 1 for line in lines)]
    try:
        for token in _tokens(program.text):
            if token.type == tokenize.OP:
                depth += (token.string in _OPENING) - (token.string in _CLOSING)
            if depth and token.type in (tokenize.NL, tokenize.COMMENT):
                row, column = token.start
                start = starts[row - 1] + len(_encoded(lines[row - 1][:column]))
                end = start + len(_encoded(token.string))
                source[start:end] = b" " * (end - start)
                if token.type == tokenize.COMMENT:
                    hidden.append((start, end))
    except (SyntaxError, ValueError, tokenize.TokenError, SystemError):
        return None  # from 3.12 on, CPython's tokenizer raises SystemError for some NUL characters
    return bytes(source), hidden


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    with warnings.catch_warnings():  # of the program's own, such as invalid escapes
        warnings.simplefilter("ignore")
        return list(tokenize.generate_tokens(io.StringIO(text, newline="\n").readline))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _walk(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """All nodes in order of position; iterative, since programs nest deeper than our stack."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


@functools.lru_cache(maxsize=32_768)
def conditional_starts(text: str, kinds: tuple[str, ...] = CONDITIONALS) -> tuple[int, ...]:
    """Byte offsets of the lines on which conditional statements begin, ascending.

    Args:
        text: The program.
        kinds: Which statements count: names from ``if, elif, for, while, match, case, try, with,
            except, else``.

    Raises:
        UnknownNameError: If a kind is not one of these.
    """
    for kind in kinds:
        if kind not in _CONDITIONAL_NODES:
            raise UnknownNameError("kind of conditional", kind, _CONDITIONAL_NODES)
    wanted = {_CONDITIONAL_NODES[kind] for kind in kinds}
    program = Program(text)
    starts = {
        program.line_start(program.line_at(node.start_byte))
        for node in _walk(_parse(program)[0])
        if node.type in wanted
    }
    return tuple(sorted(starts))


def comments(program: Program) -> tuple[Span, ...]:
    """Byte spans of the comments, ascending."""
    return _read(program.text)[1]


def statements(program: Program) -> tuple[Statement, ...]:
    """All statements of a program, in order of position."""
    return _read(program.text)[0]


# The end of an episode asks three times about its program; a policy writes the same ones again.
@functools.lru_cache(maxsize=256)
def _read(text: str) -> tuple[tuple[Statement, ...], tuple[Span, ...]]:
    """Statements and comments."""
    program = Program(text)
    found = []
    root, spans = _parse(program)
    stack = [root]
    while stack:
        node = stack.pop()
        parts = _parts(program, node)
        stack += parts
        if node.type in _COMPOUND:
            found.append(_header(program, node))
        elif node.type == "comment":
            spans.append((node.start_byte, node.end_byte))
        elif node.type == "decorator":
            found.append(_statement(program, node, node.end_byte, None))
        elif node.type in _BLOCKS:
            simple = _simple_statements(parts)
            found += [_statement(program, one, one.end_byte, _declaration(one)) for one in simple]
    return tuple(sorted(found, key=lambda one: (one.start, one.end))), tuple(sorted(spans))


def _parts(program: Program, node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The nodes below a node that can hold statements or comments; expressions are left out."""
    if node.type in _WITH_BLOCKS or node.has_error:
        return node.named_children
    commented = b"#" in program.source[node.start_byte : node.end_byte]
    return node.named_children if commented else []


def _simple_statements(block: list[tree_sitter.Node]) -> Iterator[tree_sitter.Node]:
    """Those among the nodes of a block; a docstring is none."""
    first = True
    for node in block:
        if node.type not in _NOT_SIMPLE and not (first and _is_docstring(node)):
            yield node
        first = first and node.type == "comment"


def does_nothing(line: bytes) -> bool:
    """Whether a line is made of whole simple statements without effect.

    These are ``pass``, expressions of names, constants, operators, attributes and subscripts, and
    assignments of something to itself. Operators and subscripts are taken at their word: that a
    class may give them an effect is not seen.
    """
    root = tree_sitter.Parser(_PARSER_LANGUAGE).parse(line).root_node
    parts = [node for node in root.named_children if node.type != "comment"]
    return bool(parts) and not root.has_error and all(map(_is_idle, parts))


def _is_idle(statement: tree_sitter.Node) -> bool:
    if statement.type != "expression_statement":
        return statement.type == "pass_statement"
    expressions = statement.named_children
    if len(expressions) == 1 and expressions[0].type == "assignment":
        left = expressions[0].child_by_field_name("left")
        right = expressions[0].child_by_field_name("right")
        if left is None or right is None or _symbols(left) != _symbols(right):
            return False
        expressions = [right]
    return not any(node.type in _EFFECTS for part in expressions for node in _walk(part))


def _symbols(node: tree_sitter.Node) -> list[bytes | None]:
    """The text of a node without its white space."""
    return [leaf.text for leaf in _walk(node) if not leaf.children]


def _is_docstring(node: tree_sitter.Node) -> bool:
    """Whether the first statement of a block is the docstring of a module, class or function."""
    block = node.parent
    if block is None or node.type != "expression_statement" or len(node.named_children) != 1:
        return False
    owner = block if block.parent is None else block.parent
    if owner.type not in ("module", "class_definition", "function_definition"):
        return False
    value = node.named_children[0]
    while value.type == "parenthesized_expression" and len(value.named_children) == 1:
        value = value.named_children[0]
    parts = value.named_children if value.type == "concatenated_string" else [value]
    return all(one.type == "string" and _FORMATTED.isdisjoint(_prefix(one)) for one in parts)


def _prefix(string: tree_sitter.Node) -> bytes:
    """The letters before the quotation marks."""
    return (string.children[0].text or b"").rstrip(b"'\"")


def _statement(
    program: Program, node: tree_sitter.Node, end: int, evidence: tuple[int, int] | None
) -> Statement:
    first = program.line_at(node.start_byte)
    last = program.line_at(max(node.start_byte, end - 1))
    before = program.source[program.line_start(first) : node.start_byte]
    if first == 1:
        before = before.removeprefix(codecs.BOM_UTF8)
    begins = not before.strip()
    return Statement(node.start_byte, end, first, last, len(before), begins, evidence)


def _header(program: Program, node: tree_sitter.Node) -> Statement:
    """The part of a compound statement up to its colon."""
    colon = next((child for child in node.children if child.type == ":"), None)
    end = node.end_byte if colon is None else colon.end_byte
    evidence = None
    if node.type in _SILENT_HEADERS:
        body = next((child for child in node.children if child.type == "block"), node)
        evidence = body.start_byte, body.end_byte
    return _statement(program, node, end, evidence)


def _declaration(node: tree_sitter.Node) -> tuple[int, int] | None:
    block = node.parent
    declares = node.type in _DECLARATIONS or _is_bare_annotation(node)
    return (block.start_byte, block.end_byte) if declares and block is not None else None


def _is_bare_annotation(node: tree_sitter.Node) -> bool:
    """Whether a statement is ``x: int``, which has no code in a function."""
    if node.type != "expression_statement" or len(node.named_children) != 1:
        return False
    inner = node.named_children[0]
    annotated = inner.type == "assignment" and inner.child_by_field_name("type") is not None
    return annotated and inner.child_by_field_name("right") is None
