"""The lines of programs as tokens: to which line of its program each generated token belongs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from agents.environments import ProblemSettings, make_tokenizer
from agents.sequences import Sequences
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import Problem
from codegym.programs import Program, token_spans

__all__ = ["LineNumbers"]


class LineNumbers:
    """Finds the lines of programs that were written.

    A token belongs to the line in which its first byte lies, so that one that spells a newline and
    the next line's indentation ends the old line. The end token belongs to the last line.

    Args:
        settings: Tokenizer and prompt format.
        problems: What is asked; each is rendered once.

    Raises:
        ConfigurationError: If programs are found in answers, where other lines stand around them.
    """

    def __init__(self, settings: ProblemSettings, problems: Iterable[Problem]) -> None:
        self._tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
        prompt_format = make_prompt_format(settings.prompt_format, self._tokenizer)
        self._headers = dict[str, bytes]()
        for problem in problems:
            prompt = prompt_format.render(problem)
            if prompt.answer is not None:
                raise ConfigurationError(
                    "Expected a prompt format whose answer is the program itself, because lines "
                    "are counted in it, got one that finds the program in a chat answer. Choose "
                    "another prompt_format."
                )
            self._headers[problem.id] = Program(prompt.header).source

    def __call__(self, sequences: Sequences) -> Tensor:
        """Numbers the lines.

        Args:
            sequences: B episodes of T columns.

        Returns:
            (B, T) int64: the 1-based line of the program, its header included, to which each
            generated token belongs; 0 elsewhere.
        """
        lines = torch.zeros_like(sequences.input_ids)
        lengths = (sequences.prompt_length, sequences.start_length, sequences.length)
        for row, (prompt, start, end) in enumerate(zip(*map(Tensor.tolist, lengths), strict=True)):
            header = self._headers[sequences.problem_id[row]]
            tokens = sequences.input_ids[row, prompt:end].tolist()
            written = b"".join(map(self._tokenizer.token_bytes, tokens))
            program = Program((header + written).decode("utf-8", "surrogateescape"))
            begins, _ = token_spans(self._tokenizer, tokens, start=len(header))
            numbers = np.searchsorted(program.line_starts, begins, side="right")
            lines[row, start:end] = torch.as_tensor(numbers[start - prompt :], device=lines.device)
        return lines
