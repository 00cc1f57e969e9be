"""Devices by name, and a machine that is measured."""

import os

import pytest
import torch

from tinylm.accounting.hardware import (
    DEVICES,
    device_memory_bytes,
    find_device,
    measure_matmul_flops,
    peak_flops,
)

DRIVER_NAMES = {
    "NVIDIA A100-SXM4-80GB": "a100",
    "NVIDIA A100-SXM4-40GB": "a100 40gb",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H100 PCIe": "h100 pcie",
    "NVIDIA GH200 480GB": "gh200",
    "NVIDIA L4": "l4",
    "NVIDIA L40S": "l40s",
    "NVIDIA GeForce RTX 4090": "rtx 4090",
    "Tesla V100-SXM2-16GB": "v100",
    "Tesla V100-PCIE-32GB": "v100 pcie 32gb",
    "NVIDIA B200": "b200",
}


@pytest.mark.parametrize(("reported", "name"), DRIVER_NAMES.items())
def test_what_the_driver_reports_finds_the_device(reported: str, name: str) -> None:
    """The most specific entry whose words are all there."""
    device = find_device(reported)
    assert device is not None
    assert device.name == name


@pytest.mark.parametrize(
    "name", ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 3090 Ti", "NVIDIA A1000", "Apple M3", "", "100"]
)
def test_an_unknown_device_is_none_never_another_one(name: str) -> None:
    """A similar name is not the same device."""
    assert find_device(name) is None
    assert peak_flops(name, "fp32") is None


def test_the_write_up_s_19_5_tflops_of_an_a100_in_fp32() -> None:
    """And its 312 in bf16, dense: the datasheet's 624 is with sparsity."""
    assert peak_flops("A100", "fp32") == 19.5e12
    assert peak_flops("A100", "bf16") == 312e12
    assert peak_flops("t4", "bf16") is None


def test_every_device_is_found_by_its_own_name_and_has_a_source() -> None:
    """No entry hides another, and lower precision is never slower."""
    for device in DEVICES:
        assert find_device(device.name) is device
        assert device.source
        assert device.fp32 <= (device.tf32 or device.fp32) <= (device.bf16 or device.tf32 or device.fp32)


def test_a_measured_rate_is_that_of_a_matrix_product() -> None:
    """Positive, finite, and below what any CPU core reaches."""
    assert 1e8 < measure_matmul_flops("cpu", torch.float32, size=128, seconds=0.05) < 1e14


def test_the_memory_of_a_cpu_is_the_machine_s() -> None:
    """In bytes, as the operating system reports it."""
    assert device_memory_bytes(torch.device("cpu")) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
