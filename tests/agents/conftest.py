"""One thread: tests run side by side, and tiny tensors gain nothing from a second."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
