"""Waiting threads spin a little, wherever the library starts."""

import os
import subprocess
import sys

import pytest

from msarcnn.threads import share_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="the number of turns is that of Linux's OpenMP")


@linux
@pytest.mark.parametrize("module", ["msarcnn.predictor", "msarcnn.command_line", "app.workers.engine_process"])
def test_it_is_decided_before_torch_is_loaded(module):
    # An import hook notes what the environment says at the moment at which torch is first looked for.
    code = f"""
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
import {module}
import torch
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    command = [sys.executable, "-P", "-c", code]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert output.split() == ["1000"]


@linux
def test_who_has_said_something_is_obeyed():
    for said in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "5"}, {"KMP_BLOCKTIME": "0"}):
        environment = dict(said)
        share_cores(environment)
        assert environment == said
    empty: dict[str, str] = {}
    share_cores(empty)
    assert empty == {"GOMP_SPINCOUNT": "1000"}


def test_these_tests_have_it_too():
    assert {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ)
