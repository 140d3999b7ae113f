"""A project of 1,000 and of 300,000 people: importing, opening, one edit, exporting, listing what two models found.

    python benchmarks/storage.py [--edits 400] [--folder DIR]

Both sizes are measured in one run, since the disk decides: the figure to meet is that an edit costs the same at
both, p50 <= 2 ms and p99 <= 30 ms, and that opening takes no more than a second.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from app.document.records import HUMAN, Box, Change, Edit, Joint, PredictedJoint, Prediction
from app.storage.coco_export import export_coco
from app.storage.coco_import import stage_coco
from app.storage.project import Project
from app.storage.rows import prediction_columns
from app.storage.staging import write_results
from msarcnn.skeleton import coco17


def write_coco(path: Path, people: int) -> None:
    """Three people an image, 17 joints each."""
    keypoints = [float(value) for index in range(17) for value in (10 + index, 20 + index, 2)]
    images = [
        {"id": i + 1, "file_name": f"{i:06}.jpg", "width": 640, "height": 480} for i in range(max(people // 3, 1))
    ]
    annotations = [
        {
            "id": i + 1,
            "image_id": i // 3 % len(images) + 1,
            "category_id": 1,
            "bbox": [1.5, 2.5, 100.25, 200.75],
            "area": 12345.5,
            "iscrowd": 0,
            "keypoints": keypoints,
            "num_keypoints": 17,
        }
        for i in range(people)
    ]
    document = {"images": images, "annotations": annotations, "categories": [coco17().coco_category()]}
    path.write_text(json.dumps(document))


def measure(folder: Path, people: int, edits: int) -> None:
    source, staging, file = folder / "source.json", folder / "staging.db", folder / "project.poseproj"
    write_coco(source, people)
    times = [time.perf_counter()]

    def lap() -> float:
        times.append(time.perf_counter())
        return times[-1] - times[-2]

    stage_coco(source, staging, [folder], lambda *_: None)
    staged = lap()
    project = Project.create(file)
    for _ in project.attach_staging(staging):
        pass
    project.close()
    attached = lap()
    project = Project.open(file)
    opened = lap()
    rows = project.image_rows()
    listed = lap()
    random.seed(0)
    costs = []
    for _ in range(edits):
        key = random.choice(rows).key
        _, labelled, _ = project.load_image(key)
        moved = labelled[0].with_joint(3, Joint(random.random() * 100, random.random() * 100, 2, HUMAN))
        edit = Edit(key, "Move joint", (Change(labelled[0], moved),))
        started = time.perf_counter()
        project.apply(edit)
        costs.append((time.perf_counter() - started) * 1000)
    project.close()
    lap()
    export_coco(file, folder / "out.json")
    exported = lap()
    looked = listed_with_looks(file, folder)
    costs.sort()
    print(
        f"{people} people: staged {staged:.1f} s, attached {attached:.1f} s, opened {opened * 1000:.0f} ms, "
        f"rows {listed * 1000:.0f} ms, edit p50 {costs[len(costs) // 2]:.2f} ms, "
        f"p99 {costs[int(len(costs) * 0.99)]:.2f} ms, max {costs[-1]:.1f} ms, exported {exported:.1f} s, "
        f"rows with two looks each {looked * 1000:.0f} ms"
    )


def listed_with_looks(file: Path, folder: Path) -> float:
    """Lets two models find somebody on every image; seconds that the rows with the first one's looks take."""
    project = Project.open(file)
    joints = (PredictedJoint(10.0, 20.0, 0.9),) * 17
    keys = [row.key for row in project.image_rows()]
    for model, score in (("0123456789ab", 0.9), ("ba9876543210", 0.6)):
        found = prediction_columns(Prediction(0, model, Box(1.0, 2.0, 50.0, 100.0), score, joints))
        write_results(folder / "found.db", model, model, ((key, *found) for key in keys))
        for _ in project.attach_results(folder / "found.db"):
            pass
    started = time.perf_counter()
    rows = project.image_rows("0123456789ab")
    took = time.perf_counter() - started
    assert {row.lowest_confidence for row in rows} == {0.9}
    project.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    options = parser.parse_args()
    for people in (1000, 300_000, 1000):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), people, options.edits)


if __name__ == "__main__":
    main()
