"""How a program writes what it likes into the memory of its own report."""

from __future__ import annotations

FORGE = """
def forge(report, code, body):
    memory = report._memory
    memory[report._body : report._body + len(body)] = body
    memory[8:9] = code
    memory[:8] = (len(body) + 1).to_bytes(8, "little")
"""
