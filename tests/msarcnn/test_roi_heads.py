"""Sampling honours ignored regions; people without keypoints are no evidence against keypoints."""

import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss

from msarcnn.roi_align import LevelRoIAlign
from msarcnn.roi_heads import box_losses
from msarcnn.targets import covered_by


def target(boxes=(), ignored=(), keypoints=None, weights=None):
    count = len(boxes)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(count, dtype=torch.int64),
        "keypoints": torch.zeros(count, 17, 3) if keypoints is None else keypoints,
        "keypoint_weights": torch.zeros(count, 17) if weights is None else weights,
        "visibility": torch.full((count, 17), -1),
        "ignore_boxes": torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    }


def test_half_of_the_area_inside_a_region_counts_as_covered():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [6.0, 0, 16, 10]])
    assert covered_by(boxes, torch.tensor([[0.0, 0, 10, 10]])).tolist() == [True, True, False]
    assert covered_by(boxes, torch.zeros(0, 4)).tolist() == [False] * 3


def test_anchors_in_an_ignored_region_are_neither_positive_nor_negative(tiny_model):
    anchors = [torch.tensor([[0.0, 0, 20, 20], [40.0, 40, 60, 60], [80.0, 0, 100, 20]])]
    labels, _ = tiny_model.rpn.assign_targets_to_anchors(anchors, [target([[0, 0, 20, 20]], [[30, 30, 70, 70]])])
    assert labels[0].tolist() == [1, -1, 0]


def test_an_image_with_only_a_crowd_gives_no_positive_and_no_negative_inside_it(tiny_model):
    anchors = [torch.tensor([[40.0, 40, 60, 60], [80.0, 0, 100, 20]])]
    labels, _ = tiny_model.rpn.assign_targets_to_anchors(anchors, [target([], [[30, 30, 70, 70]])])
    assert labels[0].tolist() == [-1, 0]


def test_proposals_in_an_ignored_region_are_not_sampled(tiny_model):
    proposals = [torch.tensor([[40.0, 40, 60, 60], [80.0, 0, 100, 20], [1.0, 1, 20, 20]])]
    wanted = [target([[0, 0, 20, 20]], [[30, 30, 70, 70]])]
    boxes, _, labels, _ = tiny_model.roi_heads.select_training_samples(proposals, wanted)
    sampled = {tuple(box): label for box, label in zip(boxes[0].tolist(), labels[0].tolist(), strict=True)}
    assert (40.0, 40.0, 60.0, 60.0) not in sampled
    assert sampled[(80.0, 0.0, 100.0, 20.0)] == 0
    assert sampled[(1.0, 1.0, 20.0, 20.0)] == 1


def losses(model, *targets):
    torch.manual_seed(0)
    model.train()
    return model([torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(1)) for _ in targets], list(targets))


def test_people_without_keypoints_do_not_teach_the_keypoint_head(tiny_model):
    found = losses(tiny_model, target([[10, 10, 60, 80]]))
    assert found["loss_keypoint"].item() == 0
    found["loss_keypoint"].backward()
    gradients = [parameter.grad for parameter in tiny_model.roi_heads.keypoint_head.parameters()]
    assert all(gradient is not None and gradient.abs().sum() == 0 for gradient in gradients)


def test_a_joint_without_weight_does_not_change_the_loss(tiny_model):
    keypoints = torch.rand(1, 17, 3) * 40 + 15
    weights = torch.ones(1, 17)
    weights[0, 5:] = 0
    moved = keypoints.clone()
    moved[0, 5:, :2] += 7
    first = losses(tiny_model, target([[10, 10, 60, 80]], (), keypoints, weights))["loss_keypoint"]
    second = losses(tiny_model, target([[10, 10, 60, 80]], (), moved, weights))["loss_keypoint"]
    assert first.item() == second.item() > 0


def test_an_image_with_nobody_has_losses_and_gradients(tiny_model):
    found = losses(tiny_model, target())
    assert set(found) == {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
        "loss_keypoint",
        "loss_visibility",
    }
    sum(found.values()).backward()
    assert all(torch.isfinite(value) for value in found.values())


def test_an_image_that_is_ignored_as_a_whole_teaches_nothing(tiny_model):
    found = losses(tiny_model, target([], [[-2000, -2000, 2000, 2000]]))
    total = sum(found.values())
    assert total.item() == 0
    total.backward()


def test_everyone_gets_a_turn_before_anyone_gets_a_second(tiny_model):
    heads = tiny_model.roi_heads
    heads.keypoint_batch_per_image, heads.keypoint_batch_per_person = 5, 2
    people = torch.tensor([0] * 20 + [1, 2, 3])
    for seed in range(20):
        torch.manual_seed(seed)
        chosen = people[heads._chosen(people)].tolist()
        assert sorted(chosen) == [0, 0, 1, 2, 3], "four first turns, and the only second one there is"


def test_the_bound_on_an_image_cuts_second_turns_first(tiny_model):
    heads = tiny_model.roi_heads
    heads.keypoint_batch_per_image, heads.keypoint_batch_per_person = 2, 2
    torch.manual_seed(0)
    people = torch.tensor([7, 7, 7, 8])
    assert sorted(people[heads._chosen(people)].tolist()) == [7, 8]
    assert len(heads._chosen(torch.zeros(0, dtype=torch.int64))) == 0


def test_anchors_and_proposals_are_exact_whatever_the_features_are_in(tiny_model):
    """bfloat16 has eight bits: an anchor at 600 pixels would be off by up to two."""
    rpn = tiny_model.eval().rpn
    sizes = [(15, 20), (8, 10), (4, 5), (2, 3), (1, 2)]
    batch = ImageList(torch.zeros(1, 3, 480, 640), [(480, 640)])
    maps = [torch.zeros(1, 16, *size) for size in sizes]
    exact = rpn.anchor_generator(batch, maps)[0]
    with torch.autocast("cpu", torch.bfloat16):
        halves = [value.bfloat16() for value in maps]
        rounded = rpn.anchor_generator(batch, halves)[0]
        objectness, deltas = rpn.head(halves)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0)
    assert {value.dtype for value in objectness + deltas} == {torch.float32}


def test_pooling_from_one_level_works_in_half_precision():
    generator = torch.Generator().manual_seed(0)
    features = {str(level): torch.rand(1, 4, 64 >> level, 64 >> level, generator=generator) for level in range(4)}
    boxes = [torch.tensor([[10.0, 20.0, 201.0, 180.0], [3.0, 3.0, 21.0, 31.0]])]
    pool = LevelRoIAlign(list("0123"), 7, 2)
    expected = pool(features, boxes, [(256, 256)])
    pooled = pool({level: value.bfloat16() for level, value in features.items()}, boxes, [(256, 256)])
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), expected, rtol=0.02, atol=0.01)


def test_the_box_losses_are_torchvisions_but_for_the_weights():
    generator = torch.Generator().manual_seed(2)
    logits, deltas, wanted = (torch.randn(6, size, generator=generator) for size in (2, 8, 4))
    labels = torch.tensor([1, 0, 1, 0, 0, 1])
    known = fastrcnn_loss(logits, deltas, [labels], [wanted])
    ours = box_losses(logits, deltas, labels, wanted, torch.ones(6))
    assert all(torch.allclose(*pair) for pair in zip(known, ours, strict=True))
    # Off by 1 in all four: 4 * (1 - 1/18) a box, the second one for a quarter.
    off = box_losses(
        torch.zeros(2, 2), torch.zeros(2, 8), labels[:1].repeat(2), torch.ones(2, 4), torch.tensor([1, 0.25])
    )
    assert torch.allclose(off[1], torch.tensor(4 * (17 / 18) * 1.25 / 2))


def test_a_box_without_weight_teaches_that_somebody_is_there_and_not_where(tiny_model):
    vague = target([[10, 10, 60, 80]]) | {"box_weights": torch.zeros(1)}
    found, sure = losses(tiny_model, vague), losses(tiny_model, target([[10, 10, 60, 80]]))
    assert found["loss_box_reg"].item() == 0 < sure["loss_box_reg"].item()
    assert found["loss_classifier"].item() == sure["loss_classifier"].item()
    both = losses(tiny_model, vague, target() | {"box_weights": torch.zeros(0)})
    assert both["loss_box_reg"].item() == 0
