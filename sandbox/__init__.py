"""The sandbox: a stand-in for the stored-completions API, for rehearsals, demos and tests."""

from sandbox.options import SandboxOptions
from sandbox.server import Sandbox, run_sandbox

__all__ = ["Sandbox", "SandboxOptions", "run_sandbox"]
