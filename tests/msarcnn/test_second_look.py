"""Found boxes are looked at once more; every number here is counted by hand."""

from dataclasses import replace

import torch

from msarcnn.model import build_model
from msarcnn.presets import DEFAULT_MODEL, PRESETS
from msarcnn.second_look import settled, survivors


def test_boxes_of_one_person_vote_by_their_scores_and_one_of_them_is_looked_at_again():
    boxes = torch.tensor(
        [
            [0.0, 0, 10, 10],
            [0.0, 0, 10, 12],  # IoU 100/120 with the first: the same place, and a vote
            [0.0, 0, 10, 16],  # IoU 0.625 with the first: the same place, no vote
            [50.0, 0, 60, 10],
            [50.0, 0, 60, 10],  # hardly a score
            [30.0, 0, 30, 10],  # empty
        ]
    )
    scores = torch.tensor([0.6, 0.2, 0.1, 0.7, 0.02, 0.9])
    seen, before, voted = survivors(boxes, scores)
    assert seen.tolist() == [[50, 0, 60, 10], [0, 0, 10, 10]]
    assert torch.equal(before, torch.tensor([0.7, 0.6]))
    # (10 * 0.6 + 12 * 0.2) / 0.8
    assert torch.allclose(voted, torch.tensor([[50.0, 0, 60, 10], [0, 0, 10, 10.5]]))


def test_short_numbers_elsewhere_do_not_move_the_vote():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(150, 2, generator=generator) * 600
    boxes = torch.cat((corners, corners + 20 + 60 * torch.rand(150, 2, generator=generator)), dim=1)
    boxes = torch.cat((boxes, boxes + torch.rand(150, 4, generator=generator)))
    scores = torch.rand(300, generator=generator)
    exact = survivors(boxes, scores)
    with torch.autocast("cpu", torch.bfloat16):
        short = survivors(boxes, scores)
    assert all(torch.equal(*pair) for pair in zip(exact, short, strict=True))


def test_people_are_the_mean_of_two_opinions():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [40.0, 0, 50, 10], [70.0, 0, 80, 10]])
    again = torch.tensor([[0.0, 0, 10, 14], [0.0, 0, 10, 15], [42.0, 0, 54, 10], [70.0, 0, 80, 10]])
    before, after = torch.tensor([0.5, 0.6, 0.9, 0.06]), torch.tensor([0.9, 0.6, 0.1, 0.02])
    found, scores = settled((boxes, again), (before, after), least=0.05, overlap=0.5, most=9)
    assert found.tolist() == [[0, 0, 10, 12], [41, 0, 52, 10]]
    assert torch.allclose(scores, torch.tensor([0.7, 0.5]))
    assert len(settled((boxes, again), (before, after), 0.05, 0.5, most=1)[0]) == 1


def test_nobody_stays_nobody():
    nothing = torch.zeros(0, 4), torch.zeros(0)
    seen, before, voted = survivors(*nothing)
    assert seen.shape == voted.shape == (0, 4)
    assert settled((seen, voted), (before, before), 0.05, 0.5, 9)[0].shape == (0, 4)


def test_the_network_looks_twice_where_its_configuration_says_so(tiny_model):
    model = build_model(replace(tiny_model.config, second_look=True)).eval()
    model.load_state_dict(tiny_model.state_dict())
    heads, asked = model.roi_heads, []
    heads.box_roi_pool.register_forward_hook(lambda _module, inputs, _output: asked.append(inputs[1]))
    image = torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = model.encode([image, image[:, :64]])
        boxes, scores = model.detect(features)
        assert len(asked) == 2
        assert all(0 < len(second) <= len(first) for first, second in zip(*asked, strict=True))
        assert all(bool((one.diff() <= 0).all()) for one in scores)
        assert bool((boxes[1][:, 3] <= 64).all()), "boxes end with their own photo"
        heads.box_predictor.cls_score.bias.copy_(torch.tensor([50.0, -50.0]))
        assert [len(one) for one in model.detect(features)[0]] == [0, 0]


def test_the_papers_networks_look_once():
    twice = {name for name, config in PRESETS.items() if config.second_look}
    assert twice == {"msa_rcnn_mobilenet_v2", DEFAULT_MODEL}
