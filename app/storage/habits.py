"""What a project's labels say about v = 0, 1, 2, beside what each model has said there."""

from collections import defaultdict

import numpy as np

from app.document.records import HUMAN, SAME_PERSON_IOU, Person, Prediction, PredictionStatus
from app.storage.project import Project
from app.storage.visibility import Acceptance, Habit, accepted_v, said_by_model
from msarcnn.habit import learn_habit

MOST_IMAGES, MOST_PEOPLE = 200, 400
"""The newest say enough, and reading them takes a fraction of a second."""
_ALONE = Acceptance(0.0)


def learnt_habits(project: Project) -> dict[str, Habit]:
    """By model, for those that tell v and have looked at somebody who is labelled by now.

    Who counts has a joint whose v somebody has set to another one than the model alone would show. What was only
    accepted are the model's own decisions: learnt from, they would make whatever is frequent more frequent.
    """
    said: dict[str, list[list[tuple[float, float, float]]]] = defaultdict(list)
    labels: dict[str, list[list[int]]] = defaultdict(list)
    for image in project.images_worked_on(MOST_IMAGES):
        if sum(map(len, labels.values())) >= MOST_PEOPLE:
            break
        _, people, predictions = project.load_image(image)
        for person in people:
            if not person.is_crowd and any(joint.origin == HUMAN for joint in person.joints):
                for model, found in _found_there(person, predictions).items():
                    if _was_set(person, found):
                        said[model].append([joint.visibility or (0.0, 0.0, 0.0) for joint in found.joints])
                        labels[model].append([joint.v for joint in person.joints])
    habits = {}
    for model in said:
        factors = learn_habit(np.array(said[model]), np.array(labels[model]))
        habits[model] = Habit(len(said[model]), tuple((a, b, c) for a, b, c in factors.tolist()))
    return habits


def _was_set(person: Person, found: Prediction) -> bool:
    alone = accepted_v(found.joints, _ALONE)
    return any(joint.origin == HUMAN and joint.v != v for joint, v in zip(person.joints, alone, strict=True))


def _found_there(person: Person, predictions: tuple[Prediction, ...]) -> dict[str, Prediction]:
    """What each model that tells v has found where a person is labelled."""
    best: dict[str, tuple[float, Prediction]] = {}
    for prediction in predictions:
        overlap = prediction.box.iou(person.box)
        rejected = prediction.status is PredictionStatus.REJECTED
        least = best[prediction.model][0] if prediction.model in best else SAME_PERSON_IOU
        if not rejected and overlap >= least and said_by_model(prediction.joints):
            best[prediction.model] = overlap, prediction
    return {model: prediction for model, (_, prediction) in best.items()}
