"""The cross entropy on programs that SFT imitates, which keeps a policy close to them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agents.environments import ProblemSettings, make_tokenizer
from agents.examples import Example, canonical, encode_example
from agents.losses import masked_mean
from agents.policy import CausalLMPolicy
from agents.sequences import generated_mask, pad_tokens
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import GeneratedSource, ProblemSet

__all__ = ["Imitation"]


class Imitation:
    """Programs to imitate: of the source's weak coder if it has one, else the canonical ones.

    As in :mod:`agents.sft`, so that a method knows no more of the solutions than SFT did.

    Args:
        settings: Source, tokenizer, prompt format and context length.
        problems: Whose programs are imitated; each must fit the context.
    """

    def __init__(self, settings: ProblemSettings, problems: ProblemSet) -> None:
        self._settings, self._problems = settings, problems
        source = settings.source
        coder = source.weak_coder if isinstance(source, GeneratedSource) else None
        self._write = coder or canonical
        self._tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
        self._format = make_prompt_format(settings.prompt_format, self._tokenizer)

    def loss(self, policy: CausalLMPolicy, programs: int, generator: torch.Generator) -> Tensor:
        """The mean cross entropy over the tokens of some programs.

        Args:
            policy: Imitates.
            programs: How many are drawn.
            generator: Draws them; on the CPU.

        Returns:
            () loss with a gradient.

        Raises:
            ConfigurationError: If a problem has no program to imitate.
        """
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        drawn = rng.integers(len(self._problems), size=programs).tolist()
        examples = [self._example(index, rng) for index in drawn]
        ids, length = pad_tokens([e.tokens for e in examples], pad_id=self._tokenizer.pad_id)
        start = torch.tensor([example.start_length for example in examples])
        inputs = [tensor.to(policy.device) for tensor in (ids, start, length)]
        mask = generated_mask(inputs[1], inputs[2], ids.shape[1])
        return -masked_mean(policy.score(*inputs), mask)

    def _example(self, index: int, rng: np.random.Generator) -> Example:
        problem = self._problems[index]
        if not problem.canonical_solution:
            raise ConfigurationError(
                f"Expected a solution of every problem, because programs are imitated, but "
                f"{problem.id!r} has none. Leave such problems out, or give imitation no weight."
            )
        return encode_example(
            problem,
            self._write(problem, rng),
            tokenizer=self._tokenizer,
            prompt_format=self._format,
            context_length=self._settings.context_length,
        )
