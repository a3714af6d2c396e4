"""Code Less, Align More (Tsai et al., arXiv 2407.05040): learning from a share of the problems.

Problems resemble each other, and most of what they teach is in a few of them. So they are embedded,
clustered, and in each cluster C a share is kept (:mod:`agents.methods.pruning`)::

    x_i     = mean of the policy's last hidden states over the text, of length 1        (1)
    C       = k-means, agglomerative clustering or HDBSCAN of the principal components  (2)
    n_C     = share |C|, rounded so that they add up to the share of all                (3)
    diversity: the next one that is kept is the one with the largest
        d_i = min over those kept of C of |x_i - x_j|                                   (4)
    density: kept with a probability in proportion to 1 / p_i,
        p_i = mean over C of exp(-|x_i - x_j|^2 / 2 h^2)                                (5)

``metric="random"`` is the control: as many problems, drawn from all of them alike.

What differs from the paper; its abstract and an account of it were read, and no code was found.
They tell of principal components, of these three clusterings, and of metrics of diversity and, by a
kernel estimate, of density, but no formulas:

1. The paper prunes examples of supervised fine-tuning, here the problems of PPO are pruned. The
   kept ids of ``python -m agents.methods.pruning`` serve SFT as well.
2. Embeddings are the policy's own; there, another model's.
3. (3) to (5) are ours: the first one that is kept of (4) is the one nearest to the cluster's
   centre, problems are drawn by (5) without replacement, and h is Scott's rule,
   ``|C|^(-1/(dimensions + 4))`` times the root of the mean variance.
4. The numbers of clusters and of components, and the share of a half, are ours. The paper reports
   that a tenth of the examples nearly keeps the performance, and more of them raise it.

    python -m agents.methods code_less --model runs/sft --share 0.1 --out runs/code_less
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from agents import ppo
from agents.methods.clustering import PruningSettings
from agents.methods.pruning import pruned
from agents.policy import CausalLMPolicy
from agents.running import train
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet

__all__ = ["Args", "CodeLess", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(PruningSettings, ppo.Args):
    """PPO on a share of the problems, chosen by clusters of what the policy makes of them."""

    out: Path = Path("runs/code_less")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        self.refuse_meaningless_pruning()
        super().__post_init__()


class CodeLess(ppo.PPO):
    """A run of PPO on the problems that are kept."""

    name = "Code Less"

    def __init__(
        self, args: Args, *, policy: CausalLMPolicy, problems: ProblemSet, **parts: Any
    ) -> None:
        policy = policy.to(args.device).eval()
        kept, _ = pruned(policy, problems, args, args, seed=args.seed)
        self._kept = list(kept.ids)
        screen: RunLogger = parts.get("screen") or parts["logger"]
        screen.note(f"{len(kept)} of {len(problems)} problems are kept.")
        super().__init__(args, policy=policy, problems=kept, **parts)

    def method_state(self) -> dict[str, Any]:
        """The ids of the problems that are kept."""
        return {"kept": self._kept}

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Sees to it that they are the same, since a curriculum has stages of each.

        Raises:
            ConfigurationError: If the policy that begins, or the data, is another one by now.
        """
        if state["kept"] != self._kept:
            raise ConfigurationError(
                f"The run to resume kept {len(state['kept'])} problems, and those that would be "
                f"kept now ({len(self._kept)}) are not the same: the model that it began with or "
                "its data has changed. Restore both, or begin anew."
            )


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(CodeLess.make, args, logger)
