"""Training and fine-tuning: one loop, exactly resumable, watched through its run folder (paper section 7)."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from msarcnn.checkpoint import CheckpointInfo, save_checkpoint
from msarcnn.config import TrainConfig
from msarcnn.cpn import CPN
from msarcnn.crops import CropDataset
from msarcnn.dataset import LabelledImage, PoseDataset, Sample, StepSampler, mixed_seed
from msarcnn.model import MSARCNN
from msarcnn.model_files import file_hash
from msarcnn.precision import choose_precision
from msarcnn.ranks import ALONE, Ranks
from msarcnn.run_folder import RunFolder
from msarcnn.sampling import Mean
from msarcnn.targets import Target
from msarcnn.training_state import Figures, Progress, TrainingState, score_of
from msarcnn.weight_average import WeightAverage

LOSS_NAMES = {
    "loss_objectness": "objectness",
    "loss_rpn_box_reg": "rpn_box",
    "loss_classifier": "classifier",
    "loss_box_reg": "box",
    "loss_keypoint": "keypoint",
    "loss_visibility": "visibility",
    "loss_global": "global",
    "loss_refine": "refine",
}
MAX_BAD_STEPS = 5
"""Steps in a row with a loss that is not a number, after which a run gives up."""

Evaluate = Callable[[Any], tuple[Figures, CheckpointInfo]]
"""Figures of a model on the held-out images, and its description with confidences calibrated on them."""


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why and what to change."""


class StepClock:
    """The seconds that steps take, without the pauses and evaluations between them: what the time left is made of."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return self._counted + time.monotonic() - self._since

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What happens within the block is not counted."""
        self._counted = self.seconds
        yield
        self._since = time.monotonic()


class Trainer:
    """One run: owns the optimizer, the averaged weights and the step counter.

    Args:
        model: The network, already initialised.
        info: Its description; goes into the checkpoints.
        images: What to train on.
        config: Settings.
        run: The folder, created or reopened.
        evaluate: Judges a model; None when nothing is held out (the last weights are then the best).
        held_out: How many images it judges on; for the log.
        new: Parts of the backbone with random values, such as "backbone.fpn": they learn with the heads.
        ranks: The processes that share every batch. All of them do the same steps; the first logs, judges and saves.
    """

    def __init__(
        self,
        model: MSARCNN | CPN,
        info: CheckpointInfo,
        images: list[LabelledImage],
        config: TrainConfig,
        run: RunFolder,
        evaluate: Evaluate | None = None,
        held_out: int = 0,
        new: tuple[str, ...] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        if not images:
            raise TrainingError("no image to train on: label at least one person with keypoints, or choose all images")
        if config.batch_size < ranks.world * config.accumulate:
            parts = f", each in {config.accumulate} parts" if config.accumulate > 1 else ""
            raise TrainingError(
                f"{ranks.world} processes cannot share a batch of {config.batch_size}{parts}: choose a larger --batch, "
                "or start fewer"
            )
        self.model = model.to(memory_format=torch.channels_last)
        self.info = info
        self.config = config
        self.run = run
        self.evaluate = evaluate
        self.images = images
        self.held_out = held_out
        self.ranks = ranks
        self.progress = Progress()
        self._unreadable: set[str] = set()
        model.prepare(config, new, on_proposals=all(image.proposals is not None for image in images))
        self.dataset = self._dataset()
        if not len(self.dataset):
            raise TrainingError("nobody has a labelled joint, and a network on crops learns from joints: label some")
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = self._build_optimizer()
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        self._statistics = [buffer for norm in norms for buffer in norm.buffers()]
        self.precision = choose_precision(config.precision, next(model.parameters()).device)
        self.average = WeightAverage(self.parameters, config.average)
        self.state = TrainingState(model, self.parameters, self.optimizer, self.average)
        self._losses: nn.Module = _Losses(self.model)
        if ranks.world > 1:
            self._losses = DistributedDataParallel(self._losses, broadcast_buffers=False)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    # -- the run ---------------------------------------------------------------------------------

    def train(self) -> str:
        """Runs to the end, or until told otherwise; returns and logs the end's status.

        "completed", "stopped" (asked to; the best is kept) or "cancelled" (asked to; nothing is offered).

        Raises:
            TrainingError: the loss stayed not-a-number; the last good state is on disk.
        """
        self._log_start()
        if self.progress.step == 0 and self.evaluate is not None:
            self._judge(keep=False)
        status = self._steps()
        if status != "cancelled":
            self._save_resume()
            self._judge(keep=True)
        self.run.clear_command()
        model = None if status == "cancelled" else self.run.relative(self.run.best_checkpoint)
        progress = self.progress
        worse = bool(progress.before) and score_of(progress.after) < score_of(progress.before)
        message = "" if model is None else progress.verdict(self.held_out)
        self.run.log({"event": "end", "status": status, "model": model, "message": message, "worse": worse})
        return status

    def _steps(self) -> str:
        config, clock, first = self.config, StepClock(), self.progress.step
        bad_steps = 0
        for batch in self._batches():
            with clock.stopped():
                command = self._wait_while_paused()
            if command in ("stop", "cancel"):
                return "stopped" if command == "stop" else "cancelled"
            step = self.progress.step
            readable = self._readable(batch)
            some = bool(self.ranks.total(torch.tensor([len(readable)], device=self.device)) > 0)
            losses = self._step(readable, step) if some else None
            if losses is not None:
                bad_steps = 0
            elif some:
                bad_steps += 1
                self._warn(f"step {step + 1}: the loss is not a number; the step was left out")
                if bad_steps >= MAX_BAD_STEPS:
                    raise TrainingError(f"{bad_steps} steps in a row without a finite loss: lower the learning rate")
            self.progress.step = done = step + 1
            if losses is not None and (done % config.log_every == 0 or done == config.iterations):
                self._log_step(losses, clock.seconds / (done - first))
            if done % config.evaluate_every == 0 and done < config.iterations:
                with clock.stopped():
                    self._judge(keep=True)
            if done % config.checkpoint_every == 0 and done < config.iterations:
                self._save_resume()
        return "completed"

    def _readable(self, batch: list[Sample]) -> list[Sample]:
        """Leaves out images that cannot be read, each reported once. Raises TrainingError when none can be."""
        problems = [sample.problem for sample in batch if sample.problem]
        if self.ranks.total(torch.tensor([len(problems)], device=self.device)) > 0:
            for problem in [one for some in self.ranks.gathered(problems) for one in some]:
                if problem not in self._unreadable:
                    self._unreadable.add(problem)
                    self._warn(problem)
        if len(self._unreadable) >= self.dataset.photos:
            raise TrainingError("none of the images can be read: see the warnings for the files")
        return [sample for sample in batch if not sample.problem]

    def _step(self, batch: list[Sample], step: int) -> dict[str, float] | None:
        """One optimizer step; None, with the weights untouched, if a loss or gradient is not finite."""
        torch.manual_seed(mixed_seed(self.config.seed, step))
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._parts(batch)
        logged = torch.zeros(0)
        kept = [buffer.clone() for buffer in self._statistics]
        for number, part in enumerate(parts, start=1):
            with self._alone() if number < len(parts) else nullcontext():
                means = self._means(part)
                values = self._over_all_ranks(means)
                if not self.ranks.all_say(bool(values.isfinite().all()), self.device):
                    self._leave_out(kept)
                    return None
                (values.sum() / len(parts)).backward()
            seen = values.detach() / len(parts)
            logged = seen if number == 1 else logged + seen
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.config.gradient_clip)
        if not torch.isfinite(norm):
            self._leave_out(kept)
            return None
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(step) * group["rate"]
        self.optimizer.step()
        self.average.update(step)
        shared = self.ranks.total(logged) / self.ranks.world
        return {LOSS_NAMES[name]: value for name, value in zip(means, shared.tolist(), strict=True)}

    def _leave_out(self, kept: list[Tensor]) -> None:
        """Goes back to the statistics of before a step that is left out."""
        for buffer, before in zip(self._statistics, kept, strict=True):
            buffer.copy_(before)

    def _parts(self, batch: list[Sample]) -> list[list[Sample]]:
        """A batch, or this rank's share of it, in as many parts as on every other rank; none is empty everywhere."""
        parts = [batch[number :: self.config.accumulate] for number in range(self.config.accumulate)]
        sizes = self.ranks.total(torch.tensor([len(part) for part in parts], device=self.device)).tolist()
        return [part or [self.dataset.nothing] for part, size in zip(parts, sizes, strict=True) if size]

    def _means(self, part: list[Sample]) -> dict[str, Mean]:
        """Forward."""
        images = [sample.image.to(self.device, non_blocking=True) for sample in part]
        targets = [
            {key: value.to(self.device, non_blocking=True) for key, value in sample.target.items()} for sample in part
        ]
        self.model.pad_to(self._padded_to(images))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision.bf16):
            means: dict[str, Mean] = self._losses(images, targets)
        return means

    def _over_all_ranks(self, means: dict[str, Mean]) -> Tensor:
        """The losses [L] whose gradients, averaged over the ranks, are those of the means over the whole batch."""
        values = torch.stack([mean.value.float() for mean in means.values()])
        if self.ranks.world == 1:
            return values
        terms = torch.stack([mean.terms for mean in means.values()])
        return values * terms * (self.ranks.world / self.ranks.total(terms).clamp(min=1e-6))

    def _alone(self) -> AbstractContextManager[None]:
        """Within it gradients are added up here, and not yet shared with the other ranks."""
        return self._losses.no_sync() if isinstance(self._losses, DistributedDataParallel) else nullcontext()

    def _padded_to(self, images: list[Tensor]) -> tuple[int, int]:
        """The size of the largest image of the batch, whoever has it: padding decides what anchors there are."""
        sizes = torch.tensor([image.shape[-2:] for image in images], device=self.device)
        height, width = self.ranks.most(sizes.amax(dim=0)).tolist()
        return height, width

    # -- parts -----------------------------------------------------------------------------------

    def _build_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        trunk = [p for name, p in self.parameters.items() if name.startswith("backbone.body.")]
        others = [p for name, p in self.parameters.items() if not name.startswith("backbone.body.")]
        groups = [{"params": trunk, "rate": config.trunk_rate}, {"params": others, "rate": 1.0}]
        groups = [group for group in groups if group["params"]]
        if config.optimizer == "sgd":
            return torch.optim.SGD(
                groups, config.base_learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
            )
        return torch.optim.AdamW(groups, config.base_learning_rate, weight_decay=config.weight_decay, fused=True)

    def _dataset(self) -> PoseDataset | CropDataset:
        if isinstance(self.model, CPN):
            return CropDataset(self.images, self.config, self.model.config, self.info.skeleton)
        return PoseDataset(self.images, self.config, self.model.config, self.info.skeleton)

    def _batches(self) -> DataLoader:
        sampler = StepSampler(len(self.dataset), self.config, self.progress.step, self.ranks)
        return DataLoader(
            self.dataset,
            batch_sampler=sampler,
            num_workers=self.config.workers,
            collate_fn=list,
            pin_memory=self.device.type == "cuda",
            persistent_workers=False,
        )

    def _wait_while_paused(self) -> str:
        """What the first rank's watcher wants, once that is not to wait."""
        # The others are told of every look, so that none of them waits for a word through a long pause.
        while (command := self.ranks.told(self.run.command())) == "pause":
            time.sleep(0.2)
        return command

    def _judge(self, keep: bool) -> None:
        """Evaluates the (averaged) weights; keeps them as the best when they are, or when nothing is held out."""
        if self.ranks.first:
            self._judge_here(keep)
        self.progress = self.ranks.told(self.progress)

    def _judge_here(self, keep: bool) -> None:
        with self.average.in_place():
            info = self.info
            figures: Figures = {}
            if self.evaluate is not None:
                self.model.eval()
                figures, info = self.evaluate(self.model)
                self.run.log({"event": "evaluation", "step": self.progress.step, **figures})
            if not keep:
                self.progress.before = figures
                return
            score = score_of(figures) if figures else None
            if score is None or self.progress.best is None or score >= self.progress.best:
                self.progress.best, self.progress.after = score, figures
                lineage = {**self.info.lineage, "step": self.progress.step, "before": self.progress.before}
                save_checkpoint(self.run.best_checkpoint, self.model, replace(info, lineage=lineage, metrics=figures))
                self._log_checkpoint(self.run.best_checkpoint, best=True)

    # -- resuming --------------------------------------------------------------------------------

    def _save_resume(self) -> None:
        if not self.ranks.first:
            return
        self.state.save(self.run.resume_checkpoint, self.progress)
        self._log_checkpoint(self.run.resume_checkpoint, best=False)

    def resume(self) -> None:
        """Goes back to the last saved state of the run folder. Raises CheckpointError."""
        self.progress = self.state.load(self.run.resume_checkpoint)

    # -- the log ---------------------------------------------------------------------------------

    def _log_start(self) -> None:
        self.run.log(
            {
                "event": "start",
                "time": time.time(),
                "total_steps": self.config.iterations,
                "images": len(self.images),
                "people": sum(len(image.boxes) for image in self.images),
                "val_images": self.held_out,
                "resumed_at": self.progress.step,
                "precision": "bf16" if self.precision.bf16 else "fp32",
            }
        )
        if self.precision.warning:
            self._warn(self.precision.warning)

    def _log_step(self, losses: dict[str, float], seconds: float) -> None:
        left = self.config.iterations - self.progress.step
        self.run.log(
            {
                "event": "step",
                "step": self.progress.step,
                "loss": round(math.fsum(losses.values()), 5),
                "losses": {name: round(value, 5) for name, value in losses.items()},
                "lr": self.config.learning_rate_at(self.progress.step - 1),
                "seconds_per_step": round(seconds, 4),
                "eta_seconds": round(seconds * left, 1),
            }
        )

    def _log_checkpoint(self, path: Path, best: bool) -> None:
        self.run.log({"event": "checkpoint", "step": self.progress.step, "path": self.run.relative(path), "best": best})

    def _warn(self, text: str) -> None:
        self.run.log({"event": "message", "level": "warning", "text": text})


class _Losses(nn.Module):
    """The model's losses as a module's forward, which is what can be shared among processes."""

    def __init__(self, model: MSARCNN | CPN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: list[Tensor], targets: list[Target]) -> dict[str, Mean]:
        return self.model.losses(images, targets)


def lineage_of(parent: str | None, data: list[Path], config: TrainConfig) -> dict[str, Any]:
    """Where a run's weights come from: parent's and data's hashes, and the settings."""
    return {
        "parent": parent,
        "data": [file_hash(path) for path in data],
        "settings": config.to_dict(),
    }
