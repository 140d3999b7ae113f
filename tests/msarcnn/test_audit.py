"""Labels that are wrong are found: with a pretended model that sees everybody where they are."""

import json
import sys

import numpy as np
import planted_errors
import pytest
import torch

from msarcnn import audit_command
from msarcnn.audit import Labelled, audit_image, audit_shapes
from msarcnn.command_line import main
from msarcnn.keypoints import decode_keypoints, expected_terms
from msarcnn.pose_model import Heatmaps, People, Poses
from msarcnn.skeleton import coco17
from msarcnn.synthetic import write_dataset

SIGMAS = coco17().sigmas
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_WRIST, LEFT_KNEE = 5, 6, 9, 13
STANDING = [
    (50, 12), (54, 8), (46, 8), (60, 10), (40, 10), (70, 40), (30, 40), (85, 80), (15, 80), (92, 120), (8, 120),
    (62, 130), (38, 130), (62, 180), (38, 180), (62, 230), (38, 230),
]  # fmt: skip
NOBODY = People(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def person(key, left=0.0, visible=2):
    """Somebody standing in a box of 100 x 240 pixels."""
    keypoints = np.array([[x + left, y, visible] for x, y in STANDING], dtype=float)
    return Labelled(key, (left, 0.0, 100.0, 240.0), keypoints, 12_000.0)


class Seer:
    """Sees the joints of given people in any box around them: each map has one narrow hill, and a little everywhere."""

    skeleton = coco17()

    def __init__(self, *people):
        self.people = people

    def heatmaps(self, features, boxes):
        maps = np.full((len(boxes), 17, 64, 64), -12.0, np.float32)
        for row, (x1, y1, x2, y2) in enumerate(boxes):
            middle = (x1 + x2) / 2
            seen = min(self.people, key=lambda one: abs(one.box[0] + one.box[2] / 2 - middle))
            for joint, (x, y, _) in enumerate(seen.keypoints):
                column, line = (x - x1) / (x2 - x1) * 64 - 0.5, (y - y1) / (y2 - y1) * 64 - 0.5
                ys, xs = np.mgrid[:64, :64]
                maps[row, joint] = np.maximum(-((xs - column) ** 2 + (ys - line) ** 2) / 4, -12)
        return Heatmaps(torch.from_numpy(maps))

    def decode(self, maps, boxes):
        points, terms = decode_keypoints(maps.logits, torch.from_numpy(boxes), "expected_oks", SIGMAS)
        return Poses(points.numpy(), terms.numpy(), None)


def audit(seer, people, ignored=(), found=NOBODY):
    return audit_image(seer, None, 7, people, ignored, found)


def moved(labelled, joint, x, y):
    keypoints = labelled.keypoints.copy()
    keypoints[joint, :2] = x, y
    return Labelled(labelled.id, labelled.box, keypoints, labelled.area)


def test_right_labels_raise_no_suspicion():
    everybody = [person(1), person(2, left=300)]
    assert audit(Seer(*everybody), everybody) == []


def test_left_for_right_is_one_inversion_and_not_two_misses():
    wrong = person(1)
    points = wrong.keypoints
    points[[LEFT_SHOULDER, RIGHT_SHOULDER]] = points[[RIGHT_SHOULDER, LEFT_SHOULDER]]
    (finding,) = audit(Seer(person(1)), [wrong])
    assert (finding.image, finding.kind, finding.people) == (7, "inversion", (1,))
    assert finding.joints == (LEFT_SHOULDER, RIGHT_SHOULDER) and finding.suspicion > 0.85
    assert finding.places[0] == pytest.approx((70, 40), abs=1) and finding.box == wrong.box


@pytest.mark.parametrize(
    ("x", "y", "kind"), [(20, 200, "miss"), (92 + 11, 120, "jitter"), (300 + 92, 120, "swap"), (300 + 8, 120, "swap")]
)
def test_a_joint_elsewhere_is_named_by_where_it_is(x, y, kind):
    """Eleven pixels off the wrist's OKS term is exp(-121 / (2 * 12000 * 0.124^2)) = 0.72; at x = 300 is the other."""
    everybody = [person(1), person(2, left=300)]
    wrong = moved(everybody[0], LEFT_WRIST, x, y)
    (finding,) = audit(Seer(*everybody), [wrong, everybody[1]])
    assert (finding.kind, finding.people, finding.joints) == (kind, (1,), (LEFT_WRIST,))
    assert finding.places == (pytest.approx((92, 120), abs=1),)
    assert finding.suspicion > (0.9 if kind != "jitter" else 0.25)


def test_a_joint_that_is_not_labelled_is_not_judged():
    wrong = moved(person(1), LEFT_WRIST, 20, 200)
    wrong.keypoints[LEFT_WRIST, 2] = 0
    assert audit(Seer(person(1)), [wrong]) == []
    boxed = Labelled(3, (0.0, 0.0, 100.0, 240.0), np.zeros((17, 3)), 12_000.0)
    assert audit(Seer(person(1)), [boxed]) == []


def test_the_worse_label_is_more_suspicious():
    near, far = moved(person(1), LEFT_WRIST, 108, 120), moved(person(1), LEFT_WRIST, 125, 120)
    (first,), (second,) = audit(Seer(person(1)), [near]), audit(Seer(person(1)), [far])
    assert first.suspicion < second.suspicion <= 1


def test_who_is_seen_and_not_labelled_is_found_but_not_in_a_crowd():
    corners = np.array([[0, 0, 100, 240], [300, 0, 400, 240], [600, 0, 700, 240]], np.float32)
    found = People(corners, np.array([0.9, 0.8, 0.7], np.float32))
    (missed, other) = audit(Seer(person(1)), [person(1)], found=found)
    assert (missed.kind, missed.people, missed.box) == ("person", (), (300, 0, 100, 240))
    assert missed.suspicion == pytest.approx(0.8) and other.box[0] == 600
    faint = People(corners, np.array([0.9, 0.2, 0.1], np.float32))
    assert audit(Seer(person(1)), [person(1)], found=faint) == [], "it is not sure enough"
    (other,) = audit(Seer(person(1)), [person(1)], [(290, 0, 80, 240)], found)
    assert other.box[0] == 600


@pytest.mark.parametrize(
    ("shift", "posed", "twice"),
    [(5, True, True), (60, True, False), (5, False, True), (20, False, False)],
)
def test_one_person_labelled_twice(shift, posed, twice):
    first, second = person(1), person(2, left=shift)
    if not posed:
        second.keypoints[:, 2] = 0
    findings = [one for one in audit(Seer(first), [first, second]) if one.kind == "duplicate"]
    assert [one.people for one in findings] == ([(1, 2)] if twice else [])


def test_two_people_in_one_box_with_other_poses_are_two():
    hugging = Labelled(2, (4.0, 0.0, 100.0, 240.0), person(2).keypoints * [1, -1, 1] + [0, 240, 0], 12_000.0)
    assert not any(one.kind == "duplicate" for one in audit(Seer(person(1)), [person(1), hugging]))


def test_joints_outside_of_the_box_and_too_long_bones_need_no_model():
    people = [(image, person(image)) for image in range(120)]
    people[3] = (3, moved(people[3][1], LEFT_KNEE, 62, 300))
    findings = audit_shapes(people, coco17())
    assert {(one.kind, one.image) for one in findings} == {("outside", 3), ("bone", 3)}
    outside = next(one for one in findings if one.kind == "outside")
    assert outside.joints == (LEFT_KNEE,) and outside.suspicion == pytest.approx(0.3 + 60 / 240)
    bones = [one for one in findings if one.kind == "bone"]
    # From hip to knee 50 px are usual, here 170; from knee to ankle 50 as well, here 70.
    assert {frozenset(one.joints) for one in bones} == {frozenset((11, 13)), frozenset((13, 15))}
    thigh = next(one for one in bones if 11 in one.joints)
    assert thigh.suspicion == pytest.approx(1 - 1.25 * 50 / 170, abs=1e-3)
    assert audit_shapes(people[:50], coco17())[0].kind == "outside", "too few bones to compare with"
    assert len(audit_shapes(people[:50], coco17())) == 1


def test_the_terms_of_labels_are_what_can_be_computed_by_hand():
    logits = torch.full((1, 2, 8, 8), -60.0)
    logits[0, 0, 3, 3] = logits[0, 1, 6, 6] = 0.0
    boxes, points = torch.tensor([[0.0, 0.0, 80.0, 80.0]]), torch.tensor([[[35.0, 35.0], [65.0, 75.0]]])
    terms = expected_terms(logits, boxes, points, (0.1, 0.1))
    # s^2 k^2 = 0.5 * 6400 * 0.2^2 = 128. The hills are at (35, 35) and (65, 65): the points are 0 and (30, 40) px from
    # the one, (30, 30) and 10 px from the other.
    by_hand = [[1.0, np.exp(-2500 / 256)], [np.exp(-1800 / 256), np.exp(-100 / 256)]]
    np.testing.assert_allclose(terms[0].numpy(), by_hand, atol=1e-4)


# The command


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    write_dataset(folder, images=3, seed=2, size=(320, 240))
    return folder


def run(capsys, folder, *more, labels=None):
    data = ["--annotations", labels or folder / "annotations.json", "--images", folder / "images"]
    status = main([str(one) for one in ("audit", *data, *more)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_person_labelled_twice_is_named_on_the_command_line(capsys, drawn, tiny_checkpoint, tmp_path):
    truth = json.loads((drawn / "annotations.json").read_text())
    twin = {**truth["annotations"][0], "id": 9999}
    truth["annotations"].append(twin)
    labels = tmp_path / "twice.json"
    labels.write_text(json.dumps(truth))
    status, out, err = run(capsys, drawn, "--model", tiny_checkpoint, "--json", labels=labels)
    facts = json.loads(out)
    assert status == 0 and facts["images"] == 3 and "3/3 images" in err
    (twice,) = [one for one in facts["findings"] if one["kind"] == "duplicate"]
    assert set(twice["people"]) == {9999, truth["annotations"][0]["id"]} and twice["suspicion"] == 1
    assert twice["file_name"] == next(i["file_name"] for i in truth["images"] if i["id"] == twin["image_id"])
    assert [one["suspicion"] for one in facts["findings"]] == sorted(
        (one["suspicion"] for one in facts["findings"]), reverse=True
    )
    status, out, _ = run(capsys, drawn, "--model", tiny_checkpoint, "--most", 1, labels=labels)
    first, last = out.splitlines()
    assert status == 0 and first.startswith("1.00") and "annotation 9999" in first and "findings on 3 images" in last


def test_photos_that_cannot_be_read_are_named(capsys, drawn, tiny_checkpoint, tmp_path):
    status, _, err = run(capsys, tmp_path, "--model", tiny_checkpoint, labels=drawn / "annotations.json")
    assert status == 2 and "none of the 3 images could be read" in err


def test_the_study_of_planted_errors_finds_what_a_seer_sees(capsys, drawn, tiny_checkpoint, monkeypatch):
    """The benchmark itself, with the tiny model: it has to run, and to judge by what was planted."""
    arguments = ["planted_errors", "--annotations", drawn / "annotations.json", "--images", drawn / "images"]
    monkeypatch.setattr(sys, "argv", [str(one) for one in (*arguments, "--model", tiny_checkpoint, "--seeds", 1)])
    planted_errors.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("| kind") and any(row.startswith("| duplicate") for row in rows)
    content = json.loads((drawn / "annotations.json").read_text())
    gardener = planted_errors.Gardener(content, 0)
    gardener.plant()
    kinds = {one.kind for one in gardener.planted}
    assert {"person", "duplicate"} <= kinds and content == json.loads((drawn / "annotations.json").read_text())
    found = [
        audit_command.Finding(one.image, one.kind, 1.0, tuple(one.people), tuple(one.joints), one.box)
        for one in gardener.planted
    ]
    figures = planted_errors.judge(found, gardener.planted)
    assert all(row.get("recall", 1) == 1 and row["precision_first"] == 1 for row in figures.values())
    assert all(row.get("recall", 0) == 0 for row in planted_errors.judge([], gardener.planted).values())
