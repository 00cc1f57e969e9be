"""What PyTorch and its libraries read from the environment."""

import os


def prepare_torch_environment() -> None:
    """To be called before a command imports torch; what the user has set stays."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would announce itself on stderr
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # products on a GPU repeat only with a fixed workspace
