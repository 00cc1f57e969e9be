"""The generated pages match the code they come from."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cli_page_is_fresh(generator: ModuleType) -> None:
    """docs/cli.md is what the commands' help says now; `make docs` rewrites it."""
    assert (DOCS / "cli.md").read_text() == generator.cli_page()


def test_config_page_is_fresh(generator: ModuleType) -> None:
    """docs/config.md is what the configuration classes say now; `make docs` rewrites it."""
    assert (DOCS / "config.md").read_text() == generator.config_page()
