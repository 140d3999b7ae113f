"""`python -m msarcnn train`: puts a run together from files, and brings it to a well-logged end."""

import argparse
import signal
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import torch

from msarcnn.calibrating import calibrate, calibrated
from msarcnn.calibration import Calibration
from msarcnn.checked_fields import ConfigError, check_fields, check_value, from_plain, within
from msarcnn.checkpoint import CheckpointInfo, is_crop_network
from msarcnn.coco import Reading, read_coco
from msarcnn.config import ModelConfig, TrainConfig, training_steps
from msarcnn.cpn import CPN
from msarcnn.crop_config import CropConfig
from msarcnn.crop_start import CropOrigin, any_origin_of
from msarcnn.crops import taught_people
from msarcnn.dataset import (
    DataError,
    LabelledImage,
    chosen_for_training,
    ground_truth,
    labelled_images,
    read_labelled_images,
    with_folders,
)
from msarcnn.devices import choose_device, first_sentence, is_shortage
from msarcnn.evaluation import (
    encoded_results,
    evaluate_results,
    is_judged,
    predict_images,
    to_coco_results,
)
from msarcnn.model import MSARCNN
from msarcnn.model_files import file_hash
from msarcnn.model_library import find_model
from msarcnn.predictor import Predictor
from msarcnn.presets import PAPER_BATCH, paper_recipe
from msarcnn.proposals import propose, read_proposals, recall
from msarcnn.ranks import Ranks, join, leave, ranks_of_environment
from msarcnn.reading_notes import ReadingNote, reading_notes, why_nobody
from msarcnn.run_folder import RunFolder
from msarcnn.seen_images import SEEN, coco_numbers
from msarcnn.split import split_by_image
from msarcnn.top_down import TopDown
from msarcnn.training import Evaluate, Trainer, TrainingError, lineage_of
from msarcnn.warm_start import Origin, Start, StartRecord


class InterruptedRunError(RuntimeError):
    """The process was asked to end (SIGTERM, SIGINT); the run can be continued."""


@dataclass(frozen=True)
class RunSettings:
    """Everything a run starts from; stored in its config.json, so that `--resume` needs nothing else.

    init is a model file; with warm_start it starts the other network that `model` is, else it is gone on with. start is
    the record of it (`StartRecord`), once the network is built; older runs have none.
    """

    annotations: list[str]
    images: list[str]
    val_annotations: str | None
    val_images: str | None
    val_fraction: Annotated[float, within(0, 1, below=True)]
    init: str | None
    backbone_weights: str | None
    model: dict[str, Any]
    train: dict[str, Any]
    device: str
    people: list[str] = field(default_factory=list)
    joints_in_coco_order: bool = False
    warm_start: bool = False
    proposals: str | None = None
    val_proposals: str | None = None
    detector: str | None = None
    start: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        self.model_config  # noqa: B018 - it is checked by being built
        from_plain(TrainConfig, self.train, "train.")
        if self.start is not None:
            from_plain(StartRecord, self.start, "start.")

    @property
    def reading(self) -> Reading:
        """What was said about annotations that leave something open."""
        return Reading(tuple(self.people), self.joints_in_coco_order)

    @property
    def model_config(self) -> ModelConfig | CropConfig:
        if "kind" in self.model:
            return from_plain(CropConfig, self.model, "model.")
        return from_plain(ModelConfig, self.model, "model.")

    @property
    def origin(self) -> Origin | CropOrigin:
        """Where the first weights come from."""
        backbone = Path(self.backbone_weights) if self.backbone_weights else None
        init, config = Path(self.init) if self.init else None, self.model_config
        if isinstance(config, CropConfig):
            return CropOrigin(config, init, backbone)
        return Origin(config, init, backbone, self.warm_start)

    @property
    def train_config(self) -> TrainConfig:
        return TrainConfig.from_dict(self.train)


def settings_from_arguments(arguments: argparse.Namespace) -> RunSettings:
    """Turns the command line into settings with absolute paths. Raises DataError, CheckpointError, ConfigError."""
    if not arguments.annotations or not arguments.images:
        raise DataError("train needs --annotations and --images (or --resume with the --output of a run)")
    if arguments.epochs is not None:
        check_value("epochs", arguments.epochs, Annotated[float, within(0, 1_000_000, above=True)])
    if arguments.preset and arguments.model:
        raise ConfigError("--preset says which network it is: leave out --model")
    origin = any_origin_of(arguments.init, arguments.preset or arguments.model, arguments.backbone_weights)
    return RunSettings(
        annotations=[str(path.resolve()) for path in arguments.annotations],
        images=[str(path.resolve()) for path in arguments.images],
        val_annotations=str(arguments.val_annotations.resolve()) if arguments.val_annotations else None,
        val_images=str(arguments.val_images.resolve()) if arguments.val_images else None,
        val_fraction=arguments.val_fraction,
        init=str(origin.init.resolve()) if origin.init else None,
        backbone_weights=str(origin.backbone.resolve()) if origin.backbone else None,
        model=origin.config.to_dict(),
        train=_train_config(arguments).to_dict(),
        device=arguments.device,
        people=arguments.people or [],
        joints_in_coco_order=arguments.joints_in_coco_order,
        warm_start=origin.warm,
        proposals=str(arguments.proposals.resolve()) if arguments.proposals else None,
        val_proposals=str(arguments.val_proposals.resolve()) if arguments.val_proposals else None,
        detector=_detector(arguments.detector, origin),
    )


def _detector(given: str | None, origin: Origin | CropOrigin) -> str | None:
    if given is None:
        return None
    if not isinstance(origin, CropOrigin):
        raise ConfigError("--detector is for a network on crops: leave it out")
    path = find_model(given)
    if is_crop_network(path):
        raise ConfigError(f"--detector {given} is a network on crops itself: choose one that finds people")
    return str(path.resolve())


def _train_config(arguments: argparse.Namespace) -> TrainConfig:
    """Fields named on the command line take their place in the defaults; epochs are counted later, in steps."""
    given = {
        name: value
        for name in TrainConfig.__dataclass_fields__
        if (value := getattr(arguments, name, None)) is not None
    }
    recipe = paper_recipe(arguments.preset, given.get("batch_size", PAPER_BATCH)) if arguments.preset else {}
    return TrainConfig.from_dict(recipe | given)


def train(arguments: argparse.Namespace) -> str:
    """Runs (or continues) a training; returns how it ended. Errors are logged to the run before they are raised."""
    ranks = ranks_of_environment()
    run = RunFolder(arguments.output) if ranks.first else RunFolder(arguments.output).silent()
    if arguments.resume:
        settings = _stored_settings(run)
    else:
        settings = settings_from_arguments(arguments)
        run.create()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        trainer = _build(settings, run, arguments, ranks)
        if arguments.resume and run.resume_checkpoint.exists():
            trainer.resume()
        return trainer.train()
    except InterruptedRunError:
        message = "interrupted; continue the run with --resume"
        run.log({"event": "end", "status": "failed", "model": None, "message": message})
        return "failed"
    except Exception as error:
        # The run folder is all that a watcher sees: whatever ends the run must stand there.
        if is_shortage(error):
            error = TrainingError(
                f"out of memory ({first_sentence(error)}): begin anew with a lower --batch, or with --accumulate 2; "
                "for a whole network --checkpoint-activations helps, too"
            )
        message = f"{str(error) or type(error).__name__} (a run with steps behind it can be continued with --resume)"
        run.log({"event": "end", "status": "failed", "model": None, "message": message})
        raise error
    finally:
        leave(ranks)


def _stored_settings(run: RunFolder) -> RunSettings:
    """What the run was started with. Raises RunFolderError, naming file and field, when that cannot be used."""
    try:
        return from_plain(RunSettings, run.reopen())
    except ConfigError as error:
        raise run.damaged(error) from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise InterruptedRunError(signal.Signals(number).name)


def _build(settings: RunSettings, run: RunFolder, arguments: argparse.Namespace, ranks: Ranks) -> Trainer:
    device = choose_device(_own_device(settings.device, ranks))
    if device.note:
        _tell(device.note, run)
    join(ranks, device.device.torch)
    config = settings.train_config
    annotations, roots = [Path(p) for p in settings.annotations], [Path(p) for p in settings.images]
    images, notes = read_labelled_images(annotations, roots, config.pseudo_weight, settings.reading)
    _say(notes, run)
    chosen = chosen_for_training(images, config)
    if settings.proposals:
        if config.train == "rpn":
            raise DataError("--proposals are for the heads: an RPN that is trained makes its own")
        chosen = read_proposals(Path(settings.proposals)).given_to(chosen)
    check_learnable(chosen, annotations, roots, settings.reading)
    training, judge = _hold_out(settings, chosen, annotations, run)
    if judge:
        posed = config.train != "rpn" and any(image.has_keypoints for image in training)
        check_judgeable(judge.truth, posed)
    if not arguments.resume:
        if arguments.epochs:
            crops = isinstance(settings.model_config, CropConfig)
            samples = len(taught_people(training)) if crops else len(training)
            steps = training_steps(samples, arguments.epochs, config.batch_size)
            config = replace(config, iterations=steps)
            settings = replace(settings, train=config.to_dict())
        run.write_config(vars(settings))
    torch.manual_seed(config.seed)
    if arguments.resume and run.resume_checkpoint.exists():
        start = settings.origin.start_again(settings.start)
    else:
        start = settings.origin.start()
        _report(start, config, run)
        run.write_config({**vars(settings), "start": asdict(start.record)})
    record = start.record
    seen = sorted(coco_numbers(image.file_name for image in training) | set(record.seen))
    lineage = {**lineage_of(record.parent, annotations, config), "start": record.facts, SEEN: seen}
    if judge and isinstance(settings.model_config, CropConfig):
        lineage["detector"] = file_hash(find_model(settings.detector))
    info = CheckpointInfo(settings.model_config, calibration=record.calibration, lineage=lineage)
    evaluate, held_out = None, len(judge.images) if judge else 0
    if judge:
        evaluate = judge.recall_of_proposals(info) if config.train == "rpn" else judge.evaluation(info)
    model = start.model.to(device.device.torch)
    trainer = Trainer(model, info, training, config, run, evaluate, held_out, record.new, ranks)
    if trainer.precision.warning:
        _tell(trainer.precision.warning, run)
    return trainer


def _tell(text: str, run: RunFolder) -> None:
    if run.speaks:
        print(text, file=sys.stderr)


def _own_device(wish: str, ranks: Ranks) -> str:
    """Of several processes on a machine each has a GPU of its own."""
    if ranks.world == 1 or wish == "cpu" or (wish == "auto" and not torch.cuda.is_available()):
        return wish
    return f"cuda:{ranks.local}" if wish in ("auto", "cuda") else wish


def _report(start: Start, config: TrainConfig, run: RunFolder) -> None:
    """Says in the log and on the command line what the network starts from."""
    texts = [start.report, start.report_on_heads() if config.train == "heads" else ""]
    if text := " ".join(filter(None, texts)):
        run.log({"event": "message", "level": "info", "text": text})
        _tell(text, run)


def _say(notes: list[ReadingNote], run: RunFolder) -> None:
    """Tells the run's log what became of the files' records, and the command line what was left out."""
    for note in notes:
        run.log({"event": "message", "level": "warning" if note.lost else "info", "text": note.text})
        if note.lost:
            _tell(str(note), run)


def check_learnable(
    images: list[LabelledImage], annotations: list[Path], roots: list[Path], reading: Reading | None = None
) -> None:
    """Refuses a run that could only end with a model that has learned nothing.

    Args:
        images: What is to be trained on.
        annotations, roots: The files that they come from, and their image folders; read again for the reasons.
        reading: What was said about them.

    Raises:
        DataError: there is nobody on the images.
    """
    if any(len(image.boxes) for image in images):
        return
    files_read = (
        read_coco(path, keep_raw=False, roots=folders, reading=reading)
        for path, folders in with_folders(annotations, roots)
    )
    reasons = "; ".join(filter(None, map(why_nobody, files_read)))
    files = ", ".join(map(str, annotations))
    nobody = "nobody is labelled" if images else "no image is chosen; those with labelled keypoints were wanted"
    raise DataError(f"nobody to learn from in {files} ({reasons or nobody}): label people, or correct the file")


def check_judgeable(truth: dict[str, Any], posed: bool) -> None:
    """Refuses a run whose figures would all say nothing.

    Args:
        truth: COCO data set of what is held out.
        posed: Whether keypoints are trained; else boxes are judged.

    Raises:
        DataError: nobody held out has what is judged.
    """
    if not any(is_judged(annotation, "keypoints" if posed else "bbox") for annotation in truth["annotations"]):
        raise DataError(
            f"the {len(truth['images'])} held-out images have nobody{' with labelled keypoints' if posed else ''} "
            "to judge by: label more, hold other images out, or none"
        )


def _hold_out(
    settings: RunSettings, images: list[LabelledImage], annotations: list[Path], run: RunFolder
) -> tuple[list[LabelledImage], "_Judge | None"]:
    """Chooses what is held out: a file of its own, a share of the images, or nothing."""
    if settings.val_annotations:
        if not settings.val_images:
            raise DataError("--val-annotations needs --val-images, the folder of its images")
        folders = [Path(settings.val_images)]
        data = read_coco(Path(settings.val_annotations), keep_raw=False, roots=folders, reading=settings.reading)
        _say(reading_notes(data), run)
        judged = labelled_images(data, folders)
        if settings.val_proposals:
            judged = read_proposals(Path(settings.val_proposals)).given_to(judged)
        elif settings.proposals:
            raise DataError(
                "--proposals without --val-proposals: the held-out images would be judged with an RPN that does not "
                "learn; make proposals of them, too"
            )
        return images, _Judge(judged, ground_truth(data), run, settings.detector)
    if settings.val_fraction <= 0:
        return images, None
    if len(annotations) > 1:
        raise DataError("--val-fraction needs a single annotation file: give --val-annotations instead")
    training, held_out = split_by_image(images, settings.val_fraction, settings.train_config.seed)
    roots = [Path(folder) for folder in settings.images]
    data = read_coco(annotations[0], keep_raw=False, roots=roots, reading=settings.reading)
    truth = ground_truth(data, {image.image_id for image in held_out})
    return training, _Judge(held_out, truth, run, settings.detector)


@dataclass
class _Judge:
    """Evaluates and calibrates a model on held-out images; kept is the detector in front of a network on crops."""

    images: list[LabelledImage]
    truth: dict[str, Any]
    run: RunFolder
    detector: str | None = None
    kept: Predictor | None = None

    def evaluation(self, info: CheckpointInfo) -> Evaluate:
        """The function that judges a model described by `info`."""

        def evaluate(model: MSARCNN | CPN) -> tuple[dict[str, dict[str, float]], CheckpointInfo]:
            predictor = self._asked(model, replace(info, calibration=Calibration()))
            if all(image.proposals is not None for image in self.images):
                results = [result for result, _ in encoded_results(predictor, self.images, self._warn)]
            else:
                results = list(predict_images(predictor, self.images, self._warn))
            score = info.config.pose_score
            on_crops = isinstance(model, CPN)
            fitted = calibrate(self.truth, results, info.calibration, None if on_crops else score, info.skeleton.sigmas)
            results = [calibrated(one, fitted, score) for one in results]
            figures = evaluate_results(self.truth, to_coco_results(results), sigmas=info.skeleton.sigmas)
            return figures, replace(info, calibration=fitted)

        return evaluate

    def recall_of_proposals(self, info: CheckpointInfo) -> Evaluate:
        """The function that judges the RPN of a model alone."""

        def evaluate(model: MSARCNN) -> tuple[dict[str, dict[str, float]], CheckpointInfo]:
            people: dict[int, list[list[float]]] = {image.image_id: [] for image in self.images}
            for annotation in self.truth["annotations"]:
                if not annotation["iscrowd"]:
                    people[annotation["image_id"]].append(annotation["bbox"])
            proposed = list(propose(Predictor.of(model, info), self.images, 1000, self._warn))
            boxes = [found for _, _, found in proposed]
            wanted = [people[image.image_id] for image, _, _ in proposed]
            return {"proposals": {f"AR{count}": round(recall(wanted, boxes, count), 4) for count in (100, 1000)}}, info

        return evaluate

    def _asked(self, model: MSARCNN | CPN, info: CheckpointInfo) -> Predictor | TopDown:
        if not isinstance(model, CPN):
            return Predictor.of(model, info)
        return TopDown(self._finds(str(next(model.parameters()).device)), model.eval(), info)

    def _finds(self, device: str) -> Predictor:
        if self.kept is None:
            self.kept = Predictor.load(self.detector, device)
        return self.kept

    def _warn(self, error: Exception) -> None:
        self.run.log({"event": "message", "level": "warning", "text": str(error)})
