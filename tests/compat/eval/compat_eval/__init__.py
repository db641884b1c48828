"""A taskset and a harness for `vf-eval`: two tasks, each one streamed chat call from the sandbox."""

from compat_eval.harness import CompatHarness
from compat_eval.taskset import CompatTaskset

__all__ = ["CompatHarness", "CompatTaskset"]
