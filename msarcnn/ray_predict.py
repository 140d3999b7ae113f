"""`predict --ray`: the images in parts, computed by workers on the nodes of a Ray cluster, each with its own model.

The process that asks keeps the parts: a node needs the images, the model and this package, and no way to the output.
"""

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from msarcnn.prediction_parts import Part, PartsFolder, decode_images
from msarcnn.predictor import Predictor
from msarcnn.prefill import ModelFacts, Prefilled, Report, ToLabel, found_people, write_found
from msarcnn.presets import PRESETS
from msarcnn.ray_cluster import (
    LOADING,
    Attempts,
    RayUseError,
    Workers,
    be_quiet,
    cause_of,
    cluster,
    import_ray,
    threads_ended,
    workers_for,
)
from msarcnn.read_ahead import Readers

MOST_ATTEMPTS = 3
"""So often a part may take its worker with it before the prediction ends."""


@dataclass(frozen=True)
class Instruction:
    """What every worker has to know.

    Attributes:
        model: Name or file.
        model_hash: What its hash has to be.
        threshold: Lowest score of a person kept.
        device: Where a worker computes.
        cores: How many it has.
        workers: How many there are.
    """

    model: str | None
    model_hash: str
    threshold: float
    device: str
    cores: int = 1
    workers: int = 1


class PartWorker:
    """Computes parts; one lives in each of Ray's actors, with the model loaded once."""

    def __init__(self, instruction: Instruction, attempts: Any) -> None:
        """attempts: Ray's handle of `Attempts`."""
        self._attempts = attempts
        if self._begin(LOADING) > MOST_ATTEMPTS * instruction.workers:
            raise RayUseError("workers die while they load the model: look whether the nodes have the memory for it")
        torch.set_num_threads(instruction.cores)
        self._notes: list[str] = []
        self._model = Predictor.load_for(instruction.model, instruction.device, self._notes.append)
        if self._model.hash != instruction.model_hash:
            raise RayUseError(
                f"{instruction.model or self._model.name} is another file on a node ({self._model.hash} instead of "
                f"{instruction.model_hash}): copy it there, or install the same version"
            )
        self._threshold = instruction.threshold
        self._readers = Readers(max(instruction.cores - 1, 1))
        attempts.end.remote(LOADING)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """From {part, images} to {part, content: the `Part` as JSON, notes: lines for the user}."""
        part, images = int(row["part"]), decode_images(row["images"])
        if self._begin(part) > MOST_ATTEMPTS:
            first, last = images[0].file_name, images[-1].file_name
            raise RayUseError(
                f"{MOST_ATTEMPTS} workers died of the images from {first} to {last}: look for one that cannot be read"
            )
        problems: list[str] = []
        found = list(found_people(self._model, images, self._threshold, problems, self._readers))
        notes, self._notes[:] = "\n".join(self._notes), []
        self._attempts.end.remote(part)
        return {"part": part, "content": msgspec.json.encode(Part(found, problems)), "notes": notes}

    def _begin(self, part: int) -> int:
        import ray

        return int(ray.get(self._attempts.begin.remote(part)))


def prefill_with_ray(
    address: str,
    workers: int | None,
    model: str | None,
    device: str,
    asked: ToLabel,
    output: Path,
    results_format: bool,
    threshold: float,
    report: Report,
    say: Callable[[str], None],
) -> Prefilled:
    """As `prefill.prefill`, by the workers of a Ray cluster; goes on where an earlier call was interrupted.

    Args:
        address: Of a running cluster, "auto" for the one that this machine belongs to, or `ray_cluster.LOCAL`.
        workers: How many; as many as the cluster has room for when it is not said.
        model: Name or file, the same on every node.
        device: "auto", "cpu" or "cuda".
        asked: The images, at the same place on every node.
        output: The file; the finished parts are in OUTPUT.parts meanwhile.
        results_format: Whether it becomes COCO's results format.
        threshold: Lowest score of a person kept.
        report: Called after every part.
        say: Gets sentences for the user; what is written to stdout meanwhile is taken for Ray's, and dropped.

    Raises:
        RayUseError: no Ray, no such cluster, or a worker failed; finished parts are kept.
        PartsError: the parts that are there belong to another prediction.
        CheckpointError: the model cannot be used.
        KeyboardInterrupt: by Ctrl+C or SIGTERM; finished parts are kept.
        OSError: a part or the output cannot be written.
    """
    import_ray()
    facts = ModelFacts.of(Predictor.load(model, "cpu"))
    parts = PartsFolder(output, asked.images, facts.hash, threshold)
    parts.open()
    missing = parts.unfinished()
    if len(missing) < len(parts.requests):
        say(f"{len(parts.requests) - len(missing)} of {len(parts.requests)} parts are there from before")
    if missing:
        named = model if model is None or model in PRESETS else str(Path(model).resolve())
        instruction = Instruction(named, facts.hash, threshold, device)
        with cluster(address):
            _compute(parts, missing, instruction, workers, report, say)
    problems: list[str] = []
    outcome = write_found(parts.read(problems), asked, facts, output, results_format, problems)
    parts.remove()
    return outcome


def _compute(
    parts: PartsFolder,
    missing: list[int],
    instruction: Instruction,
    workers: int | None,
    report: Report,
    say: Callable[[str], None],
) -> None:
    """Has parts computed, and keeps each as soon as it is there."""
    ray = import_ray()
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [(has.get("CPU", 0), has.get("GPU", 0)) for has in resources]
    share = workers_for(nodes, instruction.device, workers)
    device = "cuda" if share.gpus else "cpu"
    told = replace(instruction, device=device, cores=share.cores, workers=share.count)
    say(f"Ray: {share.count} workers on {device}, {share.cores} cores each")
    total = sum(map(parts.images_of, range(len(parts.requests))))
    before = done = total - sum(map(parts.images_of, missing))
    started, failure, interrupted = time.monotonic(), "", False
    with threads_ended():
        try:
            # Closed before the cluster is left: Ray Data goes on with the work until then.
            with contextlib.closing(_answers(parts, missing, told, share)) as answers:
                for part, content, notes in answers:
                    parts.keep(part, content)
                    for note in notes.splitlines():
                        say(note)
                    done += parts.images_of(part)
                    report(done, total, (time.monotonic() - started) / (done - before) * (total - done))
        except (ray.exceptions.RayError, RuntimeError) as error:
            failure = cause_of(error)
        except KeyboardInterrupt:
            # Raised again below: as long as its traceback is there, so are Ray Data's iterators and their threads.
            interrupted = True
    if failure:
        raise RayUseError(f"a worker failed: {failure}; {_kept(parts)}")
    if interrupted:
        say(f"stopped: {_kept(parts)}")
        raise KeyboardInterrupt


def _answers(
    parts: PartsFolder, missing: list[int], instruction: Instruction, share: Workers
) -> Generator[tuple[int, bytes, str], None, None]:
    """Parts as they are finished: number, content, lines for the user."""
    ray = import_ray()
    be_quiet(ray)
    attempts = ray.remote(Attempts).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    rows = [{"part": part, "images": parts.requests[part]} for part in missing]
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        PartWorker,
        fn_constructor_args=(instruction, attempts),
        compute=ray.data.ActorPoolStrategy(size=share.count),
        num_cpus=share.cores,
        num_gpus=share.gpus or None,
    )
    for block in answers.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
        for row in block.to_pylist():
            yield row["part"], row["content"], row["notes"]


def _kept(parts: PartsFolder) -> str:
    there, path = parts.count(), parts.path
    return f"{there} of {len(parts.requests)} parts are kept in {path}, and the same command goes on with them"
