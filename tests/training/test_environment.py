"""environment.json says what the run ran on."""

import json
import platform

import torch

from tinylm.training.environment import describe_environment


def test_environment_is_json_with_versions_and_machine() -> None:
    """Versions, cores, memory and device name are there and serialisable."""
    values = json.loads(json.dumps(describe_environment(torch.device("cpu"))))
    assert values["python"] == platform.python_version()
    assert values["torch"] == torch.__version__
    assert values["cpu_cores"] >= 1
    assert values["memory_bytes"] > 2**28
    assert values["device"] == values["processor"]
