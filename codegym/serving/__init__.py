"""WHO ELSE MAY ASK?

A server over HTTP that runs and grades programs for others: SandboxFusion's `/run_code`, `/grade`
beside it, and what an :class:`~codegym.execution.HTTPExecutor` needs.
"""

from __future__ import annotations

from codegym.serving.app import make_app
from codegym.serving.command import Server, open_server, serve
from codegym.serving.limits import ServiceLimits
from codegym.serving.service import Service

__all__ = ["Server", "Service", "ServiceLimits", "make_app", "open_server", "serve"]
