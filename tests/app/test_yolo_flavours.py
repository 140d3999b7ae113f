"""YOLO-pose as other tools write it: lists of photos, splits, scores, classes, names; nothing is lost in silence."""

import cProfile
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from app.document.records import Person
from app.storage.project import Project
from app.storage.yolo_description import read_description
from app.storage.yolo_import import stage_yolo
from app.storage.yolo_places import YoloError
from app.storage.yolo_report import YoloReport
from msarcnn.coco_report import ReadReport, ReportLine
from msarcnn.skeleton import coco17

COCO = coco17().keypoints
BOX = "0.5 0.5 0.4 0.8"


def silent(stage: str, done: int, total: int) -> None:
    pass


def person(kind: int = 0, third: Sequence[object] = (2,) * 17, box: str = BOX) -> str:
    """A line of labels: joint n at x = n / 20, y = 0.5."""
    return f"{kind} {box} " + " ".join(f"{index / 20} 0.5 {v}" for index, v in enumerate(third))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "set"


def photo(folder: Path, name: str, *lines: str) -> None:
    """A photo of 200 x 100 pixels; with lines, a label file where it belongs."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 100), (90, 120, 30)).save(path)
    if lines:
        labels = folder / name.replace("images/", "labels/", 1)
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.with_suffix(".txt").write_text("\n".join(lines), encoding="utf-8")


def describe(folder: Path, train: object = "images/train", names: object = ("person",), **more: object) -> Path:
    content = {"train": train, "names": names, "kpt_shape": [17, 3], **more}
    (folder / "data.yaml").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder / "data.yaml"


def read(description: Path, tmp_path: Path) -> tuple[ReadReport, dict[str, tuple[Person, ...]]]:
    """The report, and the people by the photos' names."""
    report = stage_yolo(description, tmp_path / "staging", silent)
    project = Project.create(tmp_path / "p.poses")
    list(project.attach_staging(tmp_path / "staging"))
    people = {row.path: project.load_image(row.key)[1] for row in project.image_rows()}
    project.close()
    project.path.unlink()
    return report, people


def line_about(report: ReadReport, text: str) -> ReportLine:
    (found,) = [line for line in report.lines if text in line.text]
    return found


def test_lists_of_photos(folder: Path, tmp_path: Path) -> None:
    names = [f"images/train/{name}.jpg" for name in "abcdefg"] + ["images/val/ä.jpg"]
    for name in names:
        photo(folder, name, person())
    Image.new("RGB", (20, 20)).save(tmp_path / "outside.jpg")
    lists = folder / "lists"
    lists.mkdir()
    (folder / "train.txt").write_text(
        "\ufeffimages/train/a.jpg\n./images/train/b.jpg\n\ndata/images/train/c.jpg\n"
        f"{folder}/images/train/d.jpg\nimages\\train\\e.jpg\r\nimages/train/a.jpg\n"
        f"{tmp_path}/outside.jpg\n../outside.jpg\nC:\\x\\a.jpg\nimages/train/gone.jpg\nimages/train/h.heic\n",
        encoding="utf-8",
    )
    (folder / "images/train/h.heic").write_bytes(b"x")
    (lists / "more.txt").write_text("./../images/train/f.jpg\nimages/train/g.jpg\n")
    description = describe(folder, ["train.txt", "lists/more.txt"], val="images/val")
    report, people = read(description, tmp_path)
    assert report.people == 8
    assert sorted(people) == [*(f"images/train/{name}.jpg" for name in "abcdefg"), "ä.jpg"]
    assert line_about(report, "outside of the data set's folder").count == 3
    assert line_about(report, "that is not there").places == ["train.txt, line 11: images/train/gone.jpg"]
    assert "pillow-heif" in line_about(report, "HEIC photo").text and report.warns


def test_a_split_that_is_not_there_costs_no_other(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person())
    report, people = read(describe(folder, val="images/val", test=["test.txt", "../../x"]), tmp_path)
    assert list(people) == ["a.jpg"] and report.people == 1
    lost = [line.text for line in report.lines if line.warns]
    assert len(lost) == 3 and report.warns
    assert lost[0].startswith("its folder images/val (val) is not there")
    assert lost[1].startswith("its list test.txt (test) is not there") and "leads out" in lost[2]
    with pytest.raises(YoloError, match=r"data\.yaml: its list train\.txt \(train\) is not there"):
        stage_yolo(describe(folder, "train.txt", val="images/val"), tmp_path / "staging", silent)


def test_several_folders_and_one_within_another(folder: Path, tmp_path: Path) -> None:
    for name in ("images/a/1.jpg", "images/b/2.jpg", "images/b/c/3.jpg"):
        photo(folder, name, person())
    report, people = read(describe(folder, ["images/a", "images/b"], val="images/b/c", validation="images"), tmp_path)
    assert report.people == 3 and sorted(people) == ["1.jpg", "2.jpg", "c/3.jpg"], "no photo comes twice"


def test_confidences_are_no_visibilities(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person(third=[0.91, 0.5, 0.49, 1.0, 0.0, *(0.1,) * 12]))
    photo(folder, "images/train/b.jpg", person(third=[1, 0, *(1,) * 15]))
    photo(folder, "images/train/by hand.jpg", person(third=[1, 0, *(2,) * 15]))
    report, people = read(describe(folder), tmp_path)
    assert [joint.v for joint in people["a.jpg"][0].joints] == [2, 2, 0, 2, *(0,) * 13]
    assert [joint.v for joint in people["b.jpg"][0].joints] == [2, 0, *(2,) * 15], "decided for the data set"
    assert [joint.v for joint in people["by hand.jpg"][0].joints] == [1, 0, *(2,) * 15], "no confidence is 2"
    assert line_about(report, "confidences in place of visibilities").count == 2
    photo(folder, "images/train/a.jpg", person(third=[2, 1, 0, 3, -1, *(2.0,) * 12]))
    report, people = read(describe(folder), tmp_path)
    assert [joint.v for joint in people["a.jpg"][0].joints] == [2, 1, 0, 2, 0, *(2,) * 12]
    assert people["b.jpg"][0].joints[0].v == 1
    assert line_about(report, "visibility is not 0, 1 or 2").count == 2


def test_a_trailing_score_is_no_joint(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", f"{person()} 0.87", f"0 {BOX} 0.5")
    report, people = read(describe(folder), tmp_path)
    assert [found.labelled_joints for found in people["a.jpg"]] == [17, 0]
    assert line_about(report, "ends with a score").count == 2 and not report.warns


def test_what_is_lost_is_counted_by_reason_and_warned_of(folder: Path, tmp_path: Path) -> None:
    short = person(third=(2,) * 16)
    outline = "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2"
    photo(folder, "images/train/a.jpg", *[short] * 150, outline, f"x {BOX}", f"0.5 {BOX}", "0 320 240 80 90", person())
    report, people = read(describe(folder), tmp_path)
    assert len(people["a.jpg"]) == 1 and (report.lost_people, report.warns) == (154, True)
    wrong = line_about(report, "neither a box (5 values) nor a box with 17 joints (56)")
    assert wrong.count == 151 and wrong.places[0] == "labels/train/a.txt, line 1: 53 values" and len(wrong.places) == 20
    assert line_about(report, "divide pixels by width and height").count == 1
    assert line_about(report, "no number").count == line_about(report, "no class").count == 1
    assert "154 people could not be read" in report.summary()


@pytest.mark.parametrize(("dimensions", "values"), [(3, 39), (3, 40), (2, 56)])
def test_lines_of_another_length_than_stated_are_no_people(
    folder: Path, tmp_path: Path, dimensions: int, values: int
) -> None:
    """An outline of 19 points has as many values as a box with 17 joints of two numbers."""
    own = f"0 {BOX} " + "0.5 0.5 2 "[: 8 if dimensions == 2 else 10] * 17
    photo(folder, "images/train/a.jpg", " ".join(["0", *["0.25"] * (values - 1)]), own)
    report, people = read(describe(folder, kpt_shape=[17, dimensions]), tmp_path)
    assert len(people["a.jpg"]) == 1 == report.lost_people
    text = "kpt_shape should be" if values != 40 else "neither a box"
    assert line_about(report, text).places == [f"labels/train/a.txt, line 1: {values} values"]


def test_outlines_of_other_things_cost_no_people(folder: Path, tmp_path: Path) -> None:
    outline = "0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2"
    photo(folder, "images/train/a.jpg", person(), f"1 {outline}", f"1 {outline} 0.3 0.3", f"1 {BOX}", f"7 {outline}")
    report, people = read(describe(folder, names=["person", "car"]), tmp_path)
    assert len(people["a.jpg"]) == 1 and report.lost_people == 1
    assert line_about(report, "an object of class car").count == 3
    assert line_about(report, "class 7, which names does not have").count == 1


def test_rounded_visibilities_are_no_confidences(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person(third=["2.0000001", "0.9995", "0.0001", "1.000", *(1,) * 13]))
    photo(folder, "images/train/b.jpg", person(third=(1,) * 17))
    report, people = read(describe(folder), tmp_path)
    assert [joint.v for joint in people["a.jpg"][0].joints] == [2, 1, 0, *(1,) * 14]
    assert {joint.v for joint in people["b.jpg"][0].joints} == {1}
    assert not report.warns


def test_people_of_a_photo_that_cannot_be_read_are_lost(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person())
    photo(folder, "images/train/b.jpg", *[person(box=f"0.{n} 0.5 0.4 0.8") for n in (4, 5, 6)], f"1 {BOX}", "0 1 1")
    photo(folder, "images/train/c.jpg")
    for name in "bc":
        (folder / f"images/train/{name}.jpg").write_text("no photo")
    report, _ = read(describe(folder, names=["person", "car"]), tmp_path)
    assert (report.people, report.lost_people) == (1, 4)
    assert line_about(report, "a photo cannot be read").count == 2
    assert not [line for line in report.lines if "has no label file" in line.text]


def test_many_folders_take_no_longer_for_each(folder: Path, tmp_path: Path) -> None:
    def paths(count: int) -> int:
        for number in range(count):
            photo(folder, f"images/{number}/a.jpg")
        description = describe(folder, [f"images/{number}" for number in range(count)])
        profile = cProfile.Profile()
        photos = profile.runcall(read_description, description, YoloReport(), coco17()).photos
        assert [root for root, _ in photos.names] == list(range(count))
        return sum(entry.callcount for entry in profile.getstats())

    assert paths(160) < 3 * paths(80)


def test_marks_of_windows_and_lines_that_are_there_twice(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", f"\ufeff{person()}\r", person(), person(box="0.4 0.5 0.4 0.8"))
    report, people = read(describe(folder), tmp_path)
    assert len(people["a.jpg"]) == 2 and report.lost_people == 0
    assert line_about(report, "twice").count == 1


@pytest.mark.parametrize("names", [["man", "dog", "woman"], {0: "man", 1: "dog", 2: "Frau"}])
def test_all_classes_of_people_are_people(folder: Path, tmp_path: Path, names: object) -> None:
    photo(folder, "images/train/a.jpg", person(0), person(1), person(2, box="0.3 0.5 0.2 0.8"), person(7), person(1))
    report, people = read(describe(folder, names=names), tmp_path)
    assert len(people["a.jpg"]) == 2
    dogs = line_about(report, "class dog")
    assert (dogs.count, dogs.warns) == (2, False)
    assert line_about(report, "COCO's order").count == 1, "said once, not once a class"
    assert line_about(report, "class 7").warns and report.lost_people == 1


def test_an_only_class_is_people_unless_it_is_something_else(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person())
    report, people = read(describe(folder, names=["fall"]), tmp_path)
    assert len(people["a.jpg"]) == 1 and line_about(report, "its only class, fall, is taken to be people")
    for names in (["dogs"], ["Horse"], ["standing", "fallen"]):
        with pytest.raises(YoloError, match=r"none of its classes \(.*\) is called person"):
            read(describe(folder, names=names), tmp_path)
    (folder / "data.yaml").write_text("train: images/train\nnc: 1\nkpt_shape: [17, 3]\n")
    assert len(read(folder / "data.yaml", tmp_path)[1]["a.jpg"]) == 1


def test_joints_are_ordered_by_name_or_said_to_be_in_cocos_order(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person())
    report, people = read(describe(folder), tmp_path)
    assert line_about(report, "17 joints have no names: they are taken to be in COCO's order")
    assert people["a.jpg"][0].joints[0].x == 0
    spelled = [f"{name.split('_')[-1]} {name.split('_')[0][0].upper()}" if "_" in name else name for name in COCO[::-1]]
    report, people = read(describe(folder, kpt_names={0: spelled}), tmp_path)
    assert people["a.jpg"][0].joints[0].x == 160, "the nose is the last of the reversed names"
    assert line_about(report, "sorted by their names")
    with pytest.raises(YoloError, match=r"kpt_names: neck, top, .* are not understood"):
        read(describe(folder, kpt_names={0: ["neck", "top", *(f"part {n}" for n in range(15))]}), tmp_path)
    with pytest.raises(YoloError, match="by its flip_idx the joints are not in COCO's order"):
        read(describe(folder, flip_idx=[0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]), tmp_path)
    for nothing_said in (list(range(17)), list(coco17().flip_permutation)):
        assert read(describe(folder, flip_idx=nothing_said), tmp_path)[0].people == 1


def test_other_joints_are_taken_by_their_names(folder: Path, tmp_path: Path) -> None:
    names = ["neck", *COCO[5:], "top of head"]
    photo(folder, "images/train/a.jpg", person(third=(2,) * 14))
    report, people = read(describe(folder, kpt_shape=[14, 3], kpt_names={0: names}), tmp_path)
    joints = people["a.jpg"][0].joints
    assert [joint.v for joint in joints] == [0] * 5 + [2] * 12 and joints[5].x == 10
    assert line_about(report, "left out: neck, top of head") and line_about(report, "5 of COCO's joints are not in it")
    with pytest.raises(YoloError, match="kpt_names has 14 names, kpt_shape says 13"):
        read(describe(folder, kpt_shape=[13, 3], kpt_names={0: names}), tmp_path)
    with pytest.raises(YoloError, match="14 keypoints without names"):
        read(describe(folder, kpt_shape=[14, 3]), tmp_path)


def test_photos_and_labels_that_do_not_find_each_other(folder: Path, tmp_path: Path) -> None:
    photo(folder, "images/train/a.jpg", person())
    photo(folder, "images/train/a.png")
    photo(folder, "images/train/b.jpg")
    (folder / "images/train/c.heic").write_bytes(b"x")
    for name in ("c", "classes"):
        (folder / f"labels/train/{name}.txt").write_text(person())
    report, people = read(describe(folder), tmp_path)
    assert len(people["a.jpg"]) == len(people["a.png"]) == 1
    assert line_about(report, "share a label file").warns
    assert line_about(report, "label file has no photo").places == ["labels/train/c.txt"]
    assert not line_about(report, "a photo has no label file").warns
    (folder / "labels").rename(folder / "annotations")
    report, _ = read(describe(folder), tmp_path)
    assert line_about(report, "a photo has no label file").warns, "none has one"
    assert "labels/train/a.txt is not there" in line_about(report, "a photo has no label file").places[0]
