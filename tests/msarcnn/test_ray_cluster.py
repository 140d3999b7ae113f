"""How a cluster is divided, and what is said where there is none. No Ray runs here."""

import sys

import pytest
from PIL import Image

from msarcnn.command_line import main
from msarcnn.ray_cluster import RayUseError, Workers, cause_of, workers_for


@pytest.mark.parametrize(
    ("nodes", "device", "wanted", "workers"),
    [
        ([(2, 0)], "auto", None, Workers(1, 2, 0)),
        ([(2, 0)], "cpu", 2, Workers(2, 1, 0)),
        ([(1, 0)], "auto", None, Workers(1, 1, 0)),
        ([(16, 0)], "auto", 3, Workers(3, 5, 0)),
        ([(8, 0), (3, 0), (0, 0)], "auto", None, Workers(5, 2, 0)),
        ([(8, 0), (3, 0)], "auto", 4, Workers(4, 2, 0)),
        ([(16, 4)], "auto", None, Workers(4, 4, 1)),
        ([(16, 4), (6, 2), (64, 0)], "cuda", None, Workers(6, 3, 1)),
        ([(16, 4)], "auto", 2, Workers(2, 4, 1)),
        ([(16, 4)], "cpu", None, Workers(8, 2, 0)),
        ([(2, 4)], "auto", 1, Workers(1, 1, 1)),
    ],
)
def test_a_worker_gets_a_gpu_or_its_share_of_cores(nodes, device, wanted, workers):
    assert workers_for(nodes, device, wanted) == workers


@pytest.mark.parametrize(
    ("nodes", "device", "wanted", "said"),
    [
        ([(2, 0)], "auto", 3, "--ray-workers 3: the Ray cluster has 2 cores, so use 1 to 2"),
        ([(2, 0)], "auto", 0, "--ray-workers 0"),
        ([(8, 2)], "auto", 3, "has 2 GPUs"),
        ([(0, 0)], "auto", None, "has no cores"),
        ([(8, 0)], "cuda", None, "no node of the Ray cluster has a GPU"),
        ([(8, 2)], "cuda:1", None, "auto, cpu or cuda here, not cuda:1"),
    ],
)
def test_what_a_cluster_cannot_do_is_said(nodes, device, wanted, said):
    with pytest.raises(RayUseError, match=said):
        workers_for(nodes, device, wanted)


def test_the_cause_is_found_in_tracebacks_of_several_processes():
    nested = """ray::worker() (pid=1)
  File "x.py", line 1, in f
    raise RayUseError(
msarcnn.errors.RayUseError: the model is another one.

The above exception was the direct cause of the following exception:

ray.exceptions.UserCodeException: UDF failed to process a data block.
To change retry attempts, configure something."""
    assert cause_of(RuntimeError(nested)) == "the model is another one"
    assert cause_of(RuntimeError("The actor died.\n\tclass_name: W\n")) == "The actor died"
    assert cause_of(RuntimeError("ray::w()\nMemoryError\n")) == "MemoryError"
    assert cause_of(ConnectionError()) == "ConnectionError"


def test_without_ray_one_line_says_how_to_get_it(capsys, monkeypatch, tmp_path, tiny_checkpoint):
    monkeypatch.setitem(sys.modules, "ray", None)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    arguments = ["predict", tmp_path / "a.png", "--output", tmp_path / "o.json", "--model", tiny_checkpoint]
    assert main([str(argument) for argument in [*arguments, "--ray", "local"]]) == 2
    errors = capsys.readouterr().err
    assert "--ray needs Ray: pip install '.[ray]'" in errors and len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "o.json.parts").exists()
