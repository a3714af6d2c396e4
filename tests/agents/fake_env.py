"""A vector env with codegym's contract and without programs: copy the prompt's first token, end.

A problem's id spells its prompt (``copy/3-7``), so that any episode can begin again.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

END, PAD, VOCAB = 0, 0, 11


class CopyEnv(VectorEnv):
    """Prompt of 1-4 tokens; +1 for its first token and then the end token, else -0.3.

    The first generated token counts as executed, all later ones do not.
    """

    def __init__(self, num_envs: int, *, max_new_tokens: int = 4, judging_steps: int = 0) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.num_envs, self.width, self.budget = num_envs, 10, max_new_tokens
        self.single_action_space = gymnasium.spaces.Discrete(VOCAB)
        self.judging_steps = judging_steps
        self.steps_while_ended = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        rng = np.random.default_rng(seed)
        n = self.num_envs
        self.start = rng.integers(1, 5, n)
        if options and "start_length" in options:
            self.start = np.asarray(options["start_length"])
        self.ids = np.full((n, self.width), PAD, dtype=np.int64)
        for i in range(n):
            self.ids[i, : self.start[i]] = rng.integers(1, VOCAB, self.start[i])
        self.prompt = self.start.copy()
        if options and "problem_id" in options:
            self._place(options["problem_id"], options.get("prefix", [()] * n))
        self.count = self.start.copy()
        self.ended = np.zeros(n, dtype=bool)
        self.waiting = np.full(n, -1)
        self.cut = np.zeros(n, dtype=bool)
        infos = {
            "problem_id": np.array(
                [
                    f"copy/{'-'.join(map(str, row[:k]))}"
                    for row, k in zip(self.ids, self.prompt, strict=True)
                ],
                dtype=object,
            ),
            "difficulty": np.array(["introductory"] * n, dtype=object),
            "stage": self.prompt - 1,
            "num_stages": np.full(n, 4),
            "prompt_length": self.prompt.copy(),
            "start_length": self.start.copy(),
        }
        return self._obs(), infos

    def _place(self, problem_ids: Any, prefixes: Any) -> None:
        self.ids[:] = PAD
        for i, (name, prefix) in enumerate(zip(problem_ids, prefixes, strict=True)):
            prompt = [int(token) for token in name.removeprefix("copy/").split("-")]
            self.prompt[i], self.start[i] = len(prompt), len(prompt) + len(prefix)
            self.ids[i, : self.start[i]] = [*prompt, *prefix]

    def step(self, actions: Any) -> Any:
        n = self.num_envs
        reward = np.zeros(n)
        finishing = np.zeros(n, dtype=bool)
        for i in range(n):
            if self.ended[i]:
                self.steps_while_ended += 1
                continue
            if self.waiting[i] < 0:
                self.ids[i, self.count[i]] = actions[i]
                self.count[i] += 1
                over = self.count[i] - self.prompt[i] >= self.budget
                if actions[i] == END or over:
                    self.cut[i] = actions[i] != END
                    self.waiting[i] = self.judging_steps * (1 + i % 2)
            elif self.waiting[i] > 0:
                self.waiting[i] -= 1
            finishing[i] = self.waiting[i] == 0
        infos: dict[str, Any] = {}
        if self.judging_steps:
            infos["judging"] = (self.waiting > 0) & ~self.ended
        if finishing.any():
            infos["verdict"] = np.full(n, None, dtype=object)
            infos["_verdict"] = finishing
            infos["program"] = np.full(n, "", dtype=object)
            infos["loss_mask"] = np.zeros((n, self.width), dtype=np.int8)
            infos["_loss_mask"] = finishing
            for i in np.flatnonzero(finishing).tolist():
                written = self.ids[i, self.prompt[i] : self.count[i]].tolist()
                solved = written == [self.ids[i, 0], END]
                reward[i] = 1.0 if solved else -0.3
                infos["verdict"][i] = "accepted" if solved else "wrong_answer"
                infos["loss_mask"][i, self.start[i]] = 1
        self.ended |= finishing
        return self._obs(), reward, self.ended & ~self.cut, self.ended & self.cut, infos

    def _obs(self) -> dict[str, Any]:
        mask = (np.arange(self.width) < self.count[:, None]).astype(np.int8)
        return {"input_ids": self.ids, "attention_mask": mask}
