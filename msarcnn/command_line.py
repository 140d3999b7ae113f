"""The command line: `python -m msarcnn COMMAND`; results on stdout, progress and errors on stderr."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from msarcnn.coco import CocoError, Reading, read_coco
from msarcnn.config import DEVICE_HELP
from msarcnn.crop_config import CROP_PRESETS
from msarcnn.heatmaps_command import add_heatmaps_command
from msarcnn.images import ImageError
from msarcnn.models_command import add_models_command
from msarcnn.presets import ALL_SCALES, DEFAULT_MODEL, PRESETS, preset
from msarcnn.tables_command import add_tables_command

if TYPE_CHECKING:
    from msarcnn.prefill import Prefilled

FAST_HELP = "300 proposals at most, and bfloat16 where the CPU is faster with it: a little less AP"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="msarcnn", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_calibrate(commands)
    _add_proposals(commands)
    _add_summary(commands)
    _add_benchmark(commands)
    _add_reading(add_tables_command(commands))
    _add_reading(add_heatmaps_command(commands))
    _add_check(commands)
    _add_audit(commands)
    add_models_command(commands)
    halve = commands.add_parser("halve", help="write a model file in half precision, half the size")
    halve.add_argument("model", help="name or file")
    halve.add_argument("output", type=Path)
    halve.set_defaults(function=_halve)
    return parser


def _add_predict(commands: Commands) -> None:
    predict = commands.add_parser("predict", help="pre-fill images; write a COCO file")
    predict.add_argument("paths", type=Path, nargs="*", metavar="IMAGES", help="files and folders")
    predict.add_argument("--annotations", type=Path, help="COCO file whose images (and ids) to use, with --images")
    predict.add_argument("--images", type=Path)
    predict.add_argument("--output", type=Path, required=True)
    predict.add_argument("--format", choices=["coco", "results"], default="coco")
    predict.add_argument("--threshold", type=float, help="lowest score kept (default: 0.3 for coco, all for results)")
    predict.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    predict.add_argument("--device", default="auto", help=DEVICE_HELP)
    predict.add_argument("--ray", metavar="ADDRESS", help="share the work among a Ray cluster; `local` starts one here")
    predict.add_argument("--ray-workers", type=int, metavar="N", help="instead of one a GPU, or one for two cores")
    predict.add_argument("--json", action="store_true")
    _add_looks(predict)
    _add_detector(predict)
    _add_reading(predict)
    predict.set_defaults(function=_predict)


def _add_evaluate(commands: Commands) -> None:
    evaluate = commands.add_parser("evaluate", help="COCO keypoint AP/AR and person box AP")
    evaluate.add_argument("--annotations", type=Path, required=True)
    evaluate.add_argument("--images", type=Path, help="image folder (not needed with --predictions)")
    evaluate.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    evaluate.add_argument("--predictions", type=Path, help="COCO results JSON to judge instead of a model")
    evaluate.add_argument("--effort", action="store_true", help="also simulate an annotator (see msarcnn.effort)")
    evaluate.add_argument("--proposals", type=Path, help="file of `proposals` to look at, instead of the model's RPN")
    evaluate.add_argument("--shown-score", type=float, help="score from which the annotator is shown people")
    evaluate.add_argument("--device", default="auto", help=DEVICE_HELP)
    evaluate.add_argument("--json", action="store_true")
    _add_looks(evaluate)
    _add_detector(evaluate)
    _add_reading(evaluate)
    evaluate.set_defaults(function=_evaluate)


def _add_looks(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tta", action="store_true", help="test-time augmentation: several sizes, and mirror images")
    command.add_argument("--fast", action="store_true", help=FAST_HELP)
    command.add_argument("--tta-scales", type=float, nargs="+", metavar="FACTOR", help="of the test size, with --tta")


def _add_detector(command: Any) -> None:
    command.add_argument(
        "--detector", metavar="MODEL", help=f"what finds people for a network on crops (default {DEFAULT_MODEL})"
    )


def _scales(arguments: argparse.Namespace) -> tuple[float, ...]:
    """The factors that --tta means; none without it. Raises ValueError."""
    if arguments.tta_scales and not arguments.tta:
        raise ValueError("--tta-scales needs --tta")
    if not arguments.tta:
        return ()
    if not all(0.1 <= scale <= 4 for scale in arguments.tta_scales or ()):
        raise ValueError("--tta-scales are factors on the test size from 0.1 to 4")
    return tuple(arguments.tta_scales or ALL_SCALES)


def _add_calibrate(commands: Commands) -> None:
    calibrate = commands.add_parser("calibrate", help="fit a model's confidences to labels; write a model file")
    calibrate.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    calibrate.add_argument("--annotations", type=Path, required=True, help="labels that it was not trained on")
    calibrate.add_argument("--images", type=Path, action="append", required=True, help="image folder; repeat for more")
    calibrate.add_argument("--output", type=Path, required=True, help="the model file to write, .safetensors")
    calibrate.add_argument("--device", default="auto", help=DEVICE_HELP)
    calibrate.add_argument("--json", action="store_true")
    _add_reading(calibrate)
    calibrate.set_defaults(function=_calibrate)


def _add_check(commands: Commands) -> None:
    check = commands.add_parser("check", help="what would be taken of a COCO file, repaired, and left out")
    check.add_argument("--annotations", type=Path, required=True)
    check.add_argument("--images", type=Path, action="append", help="image folder, to compare with the photos")
    check.add_argument("--json", action="store_true")
    _add_reading(check)
    check.set_defaults(function=_check)


def _add_audit(commands: Commands) -> None:
    audit = commands.add_parser("audit", help="labels that may be wrong, the most suspicious first")
    audit.add_argument("--annotations", type=Path, required=True)
    audit.add_argument("--images", type=Path, action="append", required=True, help="image folder; repeat for more")
    audit.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    audit.add_argument("--most", type=int, default=50, metavar="N", help="lines to print (default 50; --json has all)")
    audit.add_argument("--device", default="auto", help=DEVICE_HELP)
    audit.add_argument("--json", action="store_true")
    _add_reading(audit)
    audit.set_defaults(function=_audit)


def _add_reading(command: argparse.ArgumentParser) -> None:
    """Answers to what a COCO file may leave open."""
    said = command.add_argument_group("where the annotations leave it open")
    said.add_argument("--people", action="append", metavar="NAME", help="category that is people; repeat for more")
    said.add_argument("--joints-in-coco-order", action="store_true", help="joints of unknown names are in COCO's order")


def _reading(arguments: argparse.Namespace) -> Reading:
    return Reading(tuple(arguments.people or ()), arguments.joints_in_coco_order)


def _add_proposals(commands: Commands) -> None:
    proposals = commands.add_parser("proposals", help="write the boxes of a model's RPN, to train or judge others on")
    proposals.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    proposals.add_argument("--annotations", type=Path, required=True, help="COCO file that names the images")
    proposals.add_argument("--images", type=Path, required=True)
    proposals.add_argument("--count", type=int, help="how many an image at most (default: the model's)")
    proposals.add_argument("--output", type=Path, required=True, help="the file to write, .safetensors")
    proposals.add_argument("--device", default="auto", help=DEVICE_HELP)
    proposals.add_argument("--json", action="store_true")
    proposals.set_defaults(function=_proposals)


def _add_summary(commands: Commands) -> None:
    summary = commands.add_parser("summary", help="parameters, shapes, multiply-adds")
    summary.add_argument("--model", choices=[*PRESETS, *CROP_PRESETS], default=DEFAULT_MODEL)
    summary.add_argument("--aggregation", choices=["sum", "concat"])
    summary.add_argument("--json", action="store_true")
    summary.set_defaults(function=_summary)


def _add_benchmark(commands: Commands) -> None:
    benchmark = commands.add_parser("benchmark", help="the paper's Table 4 on this machine: time, memory, ratios")
    benchmark.add_argument(
        "--models", nargs="+", choices=[*PRESETS, *CROP_PRESETS], help="presets (default: the table's)"
    )
    benchmark.add_argument("--fast", action="store_true", help=FAST_HELP)
    benchmark.add_argument("--runs", type=int, default=5)
    benchmark.add_argument("--people", type=int, default=3, help="on the image")
    benchmark.add_argument("--no-memory", action="store_true", help="leave out the memory of a training step")
    benchmark.add_argument("--device", default="auto", help=DEVICE_HELP)
    benchmark.add_argument("--json", action="store_true")
    benchmark.set_defaults(function=_benchmark)


def _add_train(commands: Commands) -> None:
    train = commands.add_parser("train", help="train or fine-tune a model; resumable")
    data = train.add_argument_group("data")
    data.add_argument("--annotations", type=Path, action="append", help="COCO keypoint JSON; repeat for more files")
    data.add_argument("--images", type=Path, action="append", help="its image folder; repeat for more")
    data.add_argument("--val-annotations", type=Path, help="COCO keypoint JSON to judge the model on")
    data.add_argument("--val-images", type=Path)
    data.add_argument("--val-fraction", type=float, default=0.0, help="share of the images to hold out instead")
    data.add_argument("--proposals", type=Path, help="file of `proposals` for the heads, instead of the model's RPN")
    data.add_argument("--val-proposals", type=Path, help="the same for --val-annotations")
    run = train.add_argument_group("run")
    run.add_argument("--output", type=Path, required=True, help="run folder")
    run.add_argument("--resume", action="store_true", help="continue the run in --output")
    run.add_argument("--device", default="auto", help=DEVICE_HELP)
    start = train.add_argument_group("model")
    start.add_argument("--init", help="model file (ours, or torchvision's .pth) or name to start from")
    start.add_argument(
        "--model",
        choices=[*PRESETS, *CROP_PRESETS],
        help=f"network; other than the --init file's: starts from its trunk, FPN and RPN (default {DEFAULT_MODEL})",
    )
    start.add_argument(
        "--preset",
        choices=list(PRESETS),
        help="network and training of a row of the paper's tables; what is given besides takes its place",
    )
    _add_detector(start)
    start.add_argument("--backbone-weights", metavar="FILE", help="`imagenet`, or a classifier's weights for the trunk")
    recipe = train.add_argument_group("recipe (see msarcnn.config.TrainConfig)")
    recipe.add_argument("--epochs", type=float, help="instead of --iterations")
    recipe.add_argument("--iterations", type=int)
    recipe.add_argument("--batch", dest="batch_size", type=int)
    recipe.add_argument("--lr", dest="learning_rate", type=float)
    recipe.add_argument("--trunk-rate", type=float)
    recipe.add_argument("--optimizer", choices=["sgd", "adamw"])
    recipe.add_argument("--schedule", choices=["step", "cosine"])
    recipe.add_argument("--warmup", type=int)
    recipe.add_argument("--weight-decay", type=float)
    recipe.add_argument("--train", choices=["heads", "all", "rpn", "visibility"])
    recipe.add_argument("--sizes", type=int, nargs="+")
    recipe.add_argument("--crop", type=int)
    recipe.add_argument("--mosaic", type=float)
    recipe.add_argument("--jitter", type=float, nargs=2)
    recipe.add_argument("--rotation", type=float, metavar="DEGREES", help="turns crops; for a network on crops")
    recipe.add_argument("--color", type=float)
    recipe.add_argument("--no-flip", dest="flip", action="store_false", default=None)
    recipe.add_argument("--select", choices=["keypoints", "all"], help="which images to train on")
    recipe.add_argument("--pseudo-weight", type=float)
    recipe.add_argument("--target-spread", type=float)
    recipe.add_argument("--sampling", type=float)
    recipe.add_argument("--average", type=float)
    recipe.add_argument("--accumulate", type=int, metavar="PARTS", help="a batch in parts, for small memories")
    recipe.add_argument("--checkpoint-activations", action="store_true", default=None, help="less memory, more time")
    recipe.add_argument("--compile", action="store_true", default=None, help="compile the backbone (torch.compile)")
    recipe.add_argument("--precision", choices=["auto", "fp32", "bf16"], help="auto (default): bf16 where it is fast")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--evaluate-every", type=int)
    recipe.add_argument("--checkpoint-every", type=int)
    recipe.add_argument("--log-every", type=int)
    recipe.add_argument("--workers", type=int)
    _add_reading(train)
    train.set_defaults(function=_train)


def _predict(arguments: argparse.Namespace) -> int:
    from msarcnn.augmented import looking
    from msarcnn.prefill import prefill
    from msarcnn.top_down import load_pose_model

    scales = _scales(arguments)
    if not arguments.paths and not (arguments.annotations and arguments.images):
        raise ValueError("name images or folders, or --annotations with --images")
    as_results = arguments.format == "results"
    threshold = arguments.threshold if arguments.threshold is not None else (0.0 if as_results else 0.3)
    if arguments.ray is not None and (scales or arguments.detector or arguments.fast):
        raise ValueError("--tta, --fast and --detector cannot be shared among a cluster yet: leave out --ray, or them")
    if arguments.ray is not None:
        outcome = _predict_with_ray(arguments, as_results, threshold)
        if outcome is None:
            return 130
    else:
        model = load_pose_model(arguments.model, arguments.detector, arguments.device, _tell, arguments.fast)
        outcome = prefill(
            looking(model, scales),
            arguments.paths,
            arguments.annotations,
            arguments.images,
            arguments.output,
            as_results,
            threshold,
            _show_progress,
            _reading(arguments),
        )
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    facts = {
        "output": str(arguments.output),
        "images": outcome.images,
        "people": outcome.people,
        "problems": list(outcome.problems),
    }
    _show(facts, arguments.json, f"{outcome.people} people in {outcome.images} images -> {arguments.output}")
    return 0 if outcome.images else 1


def _predict_with_ray(arguments: argparse.Namespace, as_results: bool, threshold: float) -> "Prefilled | None":
    """None when it was interrupted."""
    from msarcnn.prefill import images_asked_for
    from msarcnn.ray_predict import prefill_with_ray

    asked = images_asked_for(arguments.paths, arguments.annotations, arguments.images, _reading(arguments))
    try:
        return prefill_with_ray(
            arguments.ray,
            arguments.ray_workers,
            arguments.model,
            arguments.device,
            asked,
            arguments.output,
            as_results,
            threshold,
            _show_progress,
            _tell,
        )
    except KeyboardInterrupt:
        return None


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _show_progress(done: int, total: int, seconds: float) -> None:
    end = "\n" if done == total else "\r"
    print(f"{done}/{total} images, {seconds:.0f} s left   ", end=end, file=sys.stderr, flush=True)


def _evaluate(arguments: argparse.Namespace) -> int:
    from msarcnn.effort import SHOWN_SCORE
    from msarcnn.evaluate_command import evaluate_model, evaluate_predictions

    shown_score = None
    if arguments.effort:
        shown_score = SHOWN_SCORE if arguments.shown_score is None else arguments.shown_score
    scales = _scales(arguments)
    if arguments.predictions is not None and (scales or arguments.proposals or arguments.fast or arguments.detector):
        text = "--tta, --fast, --detector and --proposals are for a model that looks: leave them out with --predictions"
        raise ValueError(text)
    if arguments.predictions is not None:
        judged = evaluate_predictions(arguments.annotations, arguments.predictions, shown_score, _reading(arguments))
    elif arguments.images is not None:
        judged = evaluate_model(
            arguments.annotations,
            arguments.images,
            arguments.model,
            arguments.device,
            _show_progress,
            shown_score,
            _reading(arguments),
            scales,
            arguments.proposals,
            arguments.detector,
            arguments.fast,
        )
    else:
        raise ValueError("evaluate needs --images, the folder of the annotated images (or --predictions)")
    for problem in judged.problems:
        print(problem, file=sys.stderr)
    facts = {**judged.figures, "problems": judged.problems}
    _show(facts, arguments.json, "\n".join(_figure_lines(judged.figures)))
    return 0


def _proposals(arguments: argparse.Namespace) -> int:
    from msarcnn.dataset import labelled_images
    from msarcnn.predictor import Predictor
    from msarcnn.proposals import proposals_command

    if arguments.count is not None and arguments.count < 1:
        raise ValueError("--count is a number of boxes, 1 at least")
    data = read_coco(arguments.annotations, keep_raw=False, roots=[arguments.images])
    images = labelled_images(data, [arguments.images])
    started = time.monotonic()

    def report(done: int) -> None:
        _show_progress(done, len(images), (time.monotonic() - started) / done * (len(images) - done))

    predictor = Predictor.load_for(arguments.model, arguments.device, _tell)
    written, problems = proposals_command(predictor, images, arguments.count, arguments.output, report)
    for problem in problems:
        print(problem, file=sys.stderr)
    facts = {"output": str(arguments.output), "images": written, "problems": problems}
    _show(facts, arguments.json, f"proposals of {written} images -> {arguments.output}")
    return 0 if written else 1


def _calibrate(arguments: argparse.Namespace) -> int:
    from msarcnn.calibrate_command import Calibrated, calibrate_model

    def show(fitted: Calibrated) -> None:
        for problem in fitted.problems:
            print(problem, file=sys.stderr)
        facts = {"output": str(arguments.output), **fitted.figures(), "problems": fitted.problems}
        _show(facts, arguments.json, fitted.text())

    calibrate_model(
        arguments.annotations,
        arguments.images,
        arguments.model,
        arguments.output,
        arguments.device,
        _show_progress,
        _reading(arguments),
        show,
    )
    if not arguments.json:
        print(f"-> {arguments.output}")
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from msarcnn.audit_command import audit_labels

    found = audit_labels(
        arguments.annotations,
        arguments.images,
        arguments.model,
        arguments.device,
        _show_progress,
        _reading(arguments),
    )
    for problem in found.problems:
        print(problem, file=sys.stderr)
    _show(found.figures(), arguments.json, found.text(max(arguments.most, 0)))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from msarcnn.coco_report import report_of

    dataset = read_coco(
        arguments.annotations, keep_raw=False, roots=arguments.images or (), reading=_reading(arguments)
    )
    report = report_of(dataset)
    _show(msgspec.to_builtins(report), arguments.json, report.text())
    return 1 if report.warns else 0


def _figure_lines(figures: dict[str, dict[str, Any]]) -> list[str]:
    def shown(value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} {count}" for name, count in value.items())
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    return [
        f"{kind:>9}  " + "  ".join(f"{k} {shown(v)}" for k, v in values.items()) for kind, values in figures.items()
    ]


def _summary(arguments: argparse.Namespace) -> int:
    from msarcnn.summary import summarise, summarise_crops

    changes = {"aggregation": arguments.aggregation} if arguments.aggregation else {}
    crops = CROP_PRESETS.get(arguments.model)
    if crops and changes:
        raise ValueError("--aggregation is how MS-RoIAlign joins levels, and a network on crops has none: leave it out")
    facts = summarise_crops(crops) if crops else summarise(preset(arguments.model, **changes))
    lines = [f"{name:>22} {count / 1e6:9.2f} M" for name, count in facts["parts"].items()]
    lines.append(f"{'total without rpn':>22} {facts['total_without_rpn'] / 1e6:9.2f} M")
    lines += [f"{name:>22} {count / 1e9:9.2f} G multiply-adds" for name, count in facts["multiply_adds"].items()]
    _show(facts, arguments.json, "\n".join(lines))
    return 0


def _halve(arguments: argparse.Namespace) -> int:
    from msarcnn.checkpoint import read_checkpoint, save_checkpoint
    from msarcnn.crop_start import any_origin_of
    from msarcnn.model_library import find_model

    model = any_origin_of(arguments.model, None, None).start().model
    save_checkpoint(arguments.output, model, read_checkpoint(find_model(arguments.model))[1], half=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


def _benchmark(arguments: argparse.Namespace) -> int:
    from msarcnn.benchmark_command import TABLE_4, benchmark
    from msarcnn.devices import choose_device

    if min(arguments.runs, arguments.people) < 1:
        raise ValueError("--runs and --people are 1 at least")
    device = choose_device(arguments.device).device
    models = arguments.models or TABLE_4
    memory, fast = not arguments.no_memory, arguments.fast
    measured = benchmark(models, device, arguments.runs, arguments.people, memory=memory, fast=fast)
    _show(measured.to_dict(), arguments.json, measured.text())
    return 0


def _show(facts: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(facts) if as_json else text)


def _train(arguments: argparse.Namespace) -> int:
    from msarcnn.train_command import train
    from msarcnn.training import TrainingError

    try:
        status = train(arguments)
    except TrainingError as error:
        raise ValueError(str(error)) from error
    print(status)
    return 0 if status != "failed" else 1


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns the exit status. What the user can mend is one line on stderr, never a traceback."""
    arguments = build_parser().parse_args(argv)
    try:
        status: int = arguments.function(arguments)
        return status
    except (ValueError, OSError, CocoError, ImageError) as error:
        print(f"msarcnn {arguments.command}: {error}", file=sys.stderr)
        return 2
