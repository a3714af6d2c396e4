"""Insertions change nothing else: instructions, jumps, positions, exception handlers."""

from __future__ import annotations

import dis
import importlib
import inspect
import mmap
import random
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

if sys.version_info >= (3, 12):
    pytest.skip("CPython 3.11 only: later ones have sys.monitoring", allow_module_level=True)

from codegym.execution.sandbox import bytecode, probes
from codegym.execution.sandbox.bytecode import Edit

MODULES = ("argparse", "asyncio.base_events", "dataclasses")
MARKS = 100
PROBE = ["LOAD_CONST", "FOR_ITER", "LOAD_CONST", "LOAD_CONST", "STORE_SUBSCR", "POP_TOP"]


def all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from all_code(const)


def code_of(module: str) -> CodeType:
    source = inspect.getsource(importlib.import_module(module))
    return compile(source, module, "exec", dont_inherit=True)


def instructions(code: CodeType) -> list[dis.Instruction]:
    return [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]


def shape(code: CodeType, kept: list[dis.Instruction]) -> tuple[list[Any], list[Any]]:
    """Instructions and exception table, with places told by the number of the next kept one."""
    starts = {one.offset for one in kept}
    size = len(code.co_code)
    numbers = [0]
    for offset in range(0, size, 2):
        numbers.append(numbers[-1] + (offset in starts))
    place = [numbers[offset // 2] for offset in range(0, size + 2, 2)]
    steps = []
    for one in kept:
        argument = one.argval
        if one.opcode in dis.hasjrel:
            argument = place[one.argval // 2]
        elif isinstance(argument, CodeType):
            argument = argument.co_qualname
        steps.append((one.opname, repr(argument), one.positions))
    table = [
        (place[e.start // 2], place[e.end // 2], place[e.target // 2], e.depth, e.lasti)
        for e in dis._parse_exception_table(code)  # type: ignore[attr-defined]
    ]
    return steps, table


def beginnings(code: CodeType) -> list[int]:
    """Where the instructions of a program begin, in units, without those that have no line."""
    found = []
    begin = None
    for one in dis.get_instructions(code):
        begin = one.offset if begin is None else begin
        if one.opname != "EXTENDED_ARG":
            if one.positions is not None and one.positions.lineno is not None:
                found.append(begin // 2)
            begin = None
    return found


@pytest.mark.parametrize("module", MODULES)
def test_insertions_anywhere(module: str) -> None:
    rng = random.Random(module)
    nop = bytes((dis.opmap["NOP"], 0))
    for code in all_code(code_of(module)):
        places = [place for place in beginnings(code) if rng.random() < 0.4]
        edits = [Edit(place, place, content=nop * rng.randint(1, 12)) for place in places]
        edits += bytecode.find_jumps(code.co_code)
        edits.sort(key=lambda edit: edit.start)
        new = bytecode.rewrite(
            code,
            edits=edits,
            handlers=bytecode.find_handlers(code),
            consts=code.co_consts,
            stack=0,
        )
        shapes = [
            shape(one, [step for step in instructions(one) if step.opname != "NOP"])
            for one in (code, new)
        ]
        assert shapes[0] == shapes[1], code.co_qualname


@pytest.mark.parametrize("module", MODULES)
def test_nothing_but_probes_is_put_in(module: str) -> None:
    memory = mmap.mmap(-1, MARKS + 10_000)
    count = 0
    before = code_of(module)
    after = probes.insert(before, probes.Marks(memory, MARKS, 9_000))
    for old, new in zip(all_code(before), all_code(after), strict=True):
        found = instructions(new)
        kept = []
        index = 0
        while index < len(found):
            if type(found[index].argval).__name__ != "tuple_iterator":
                kept.append(found[index])
                index += 1
                continue
            probe, following = found[index : index + 6], found[index + 6]
            assert [one.opname for one in probe] == PROBE
            assert probe[5].offset < probe[1].argval <= following.offset
            line = probe[3].argval - MARKS
            assert {one.positions.lineno for one in (*probe, following) if one.positions} == {line}
            index += 6
            count += 1
        assert shape(new, kept) == shape(old, instructions(old)), old.co_qualname
        for name in ("co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags"):
            assert getattr(new, name) == getattr(old, name)
        assert (new.co_name, new.co_firstlineno) == (old.co_name, old.co_firstlineno)
    assert count > 100
