"""PyTorch's libraries are told what they read from the environment."""

import os

import pytest

from tinylm.commands.torch_environment import prepare_torch_environment


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet profiler and a fixed workspace, unless told otherwise."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.delenv("KINETO_LOG_LEVEL", raising=False)
    prepare_torch_environment()
    assert (os.environ["KINETO_LOG_LEVEL"], os.environ["CUBLAS_WORKSPACE_CONFIG"]) == ("99", ":16:8")
