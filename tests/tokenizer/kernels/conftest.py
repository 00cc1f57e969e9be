"""Kernels are compiled before the first test, since that takes longer than a test may."""

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile what is not on disk yet."""
    if any("kernels" in item.path.parts for item in session.items) and not session.config.option.collectonly:
        from tinylm.tokenizer.kernels.compilation import PARTS, compile_part

        for part in PARTS:
            compile_part(part)
