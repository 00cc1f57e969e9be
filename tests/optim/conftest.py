"""Settings for the tests of the optimizers."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_random_numbers_every_time() -> None:
    torch.manual_seed(0)
