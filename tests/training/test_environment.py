"""environment.json says what the run ran on."""

import json
import platform

import torch

from tinylm.training.device import Execution
from tinylm.training.environment import describe_environment


def test_environment_is_json_with_versions_and_machine() -> None:
    """Versions, cores, memory, device name and the settled choices are there and serialisable."""
    execution = Execution(torch.device("cpu"), torch.bfloat16, compile=False, notes=())
    values = json.loads(json.dumps(describe_environment(execution)))
    assert values["python"] == platform.python_version()
    assert values["torch"] == torch.__version__
    assert values["cpu_cores"] >= 1
    assert values["memory_bytes"] > 2**28
    assert values["device"] == values["processor"]
    assert values["precision"] == "bf16"
    assert values["compile"] is False
