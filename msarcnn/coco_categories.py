"""Which categories of a COCO file are people, and in which order their joints stand; asked where it is unclear."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from msarcnn.coco_records import CocoError, PersonCategory, ReadLog
from msarcnn.joint_names import is_animals_joint, joint_named, joint_order, own_order
from msarcnn.person_names import is_person_name, is_thing_name
from msarcnn.skeleton import Skeleton, coco17


class Reading(msgspec.Struct, frozen=True):
    """What somebody has said about a file that leaves it open.

    Attributes:
        people: Names of the categories that are people; empty: by their names and joints.
        coco_order: Joints whose names are not understood stand in the skeleton's order.
        skeleton: The joints that people have here.
    """

    people: tuple[str, ...] = ()
    coco_order: bool = False
    skeleton: Skeleton = msgspec.field(default_factory=coco17)

    def with_people(self, *names: str) -> "Reading":
        """The same, with these categories as people."""
        return msgspec.structs.replace(self, people=names)


class CocoQuestionError(CocoError):
    """A file that can be read once somebody answers.

    Attributes:
        about: What is open.
        question: One sentence to whoever can choose; the message itself is for whoever cannot.
        choices: The answers in words, and what each means.
    """

    def __init__(
        self,
        path: Path,
        about: Literal["people", "joints"],
        reason: str,
        cure: str,
        question: str,
        choices: tuple[tuple[str, Reading], ...],
    ) -> None:
        super().__init__(path, "categories", reason, cure)
        self.about = about
        self.question = question
        self.choices = choices


class Category(msgspec.Struct):
    """A category of the file, as far as it is read."""

    id: int
    name: str = ""
    keypoints: list[str] | None = None
    supercategory: Any = None


def people_categories(
    path: Path,
    categories: Mapping[int, Category],
    used: Mapping[int, int],
    posed: Mapping[int, int],
    reading: Reading,
    log: ReadLog,
) -> tuple[PersonCategory, ...]:
    """The categories whose annotations are people; the one for new people first.

    A category is people by its name (`person_names`), or since its joints are the skeleton's and neither its name nor
    a joint is another thing's.

    Args:
        path: The file; for errors.
        categories: By id.
        used: How many annotations each category has.
        posed: How many of them have labelled joints, as many as a body has.
        reading: Answers to earlier questions.
        log: For notes.

    Raises:
        CocoError: `reading` names a category that is not there.
        CocoQuestionError: nothing says which category is people, or whether one with joints is, or in which order
            their joints stand.
    """
    if reading.people:
        missing = [name for name in reading.people if name not in {one.name for one in categories.values()}]
        if missing:
            listed = ", ".join(one.name for one in categories.values())
            raise CocoError(path, "categories", f"has none called {missing[0]!r}", f"choose among: {listed}")
        chosen = [one for one in categories.values() if one.name in reading.people]
    else:
        chosen = [one for one in categories.values() if is_people(one, reading.skeleton)]
        _check_the_others(path, categories, chosen, used, posed, reading, log)
    # A category that nobody uses, as Roboflow's root, is not asked about its joints.
    in_use = [one for one in chosen if used.get(one.id)] or chosen
    people = [_person_category(path, one, reading, log) for one in in_use]
    people.sort(key=lambda one: (-bool(one.keypoints), -used.get(one.id, 0)))
    if len(people) > 1:
        names = ", ".join(f"{one.name} ({used.get(one.id, 0)})" for one in people)
        log.note(f"several categories are people: {names}; new people come into {people[0].name}", "categories")
    return tuple(people)


def is_people(category: Category, skeleton: Skeleton) -> bool:
    """Whether a category's annotations are people, by its name or by its joints."""
    if is_person_name(category.name):
        return True
    return not _is_thing(category) and _has_the_joints(category, skeleton)


def _has_the_joints(category: Category, skeleton: Skeleton) -> bool:
    return joint_order(category.keypoints or (), skeleton) is not None


def _is_thing(category: Category) -> bool:
    above = category.supercategory if isinstance(category.supercategory, str) else ""
    return is_thing_name(category.name, above) or any(map(is_animals_joint, category.keypoints or ()))


def _check_the_others(
    path: Path,
    categories: Mapping[int, Category],
    chosen: list[Category],
    used: Mapping[int, int],
    posed: Mapping[int, int],
    reading: Reading,
    log: ReadLog,
) -> None:
    """Sees to it that nobody is hidden without a word.

    Raises:
        CocoQuestionError: there are annotations of which nothing says whether they are people: any where no category
            is chosen, else some with joints.
    """
    for one in chosen:
        if used.get(one.id) and not is_person_name(one.name):
            log.note(f"{one.name or one.id} is taken to be people, since it has their joints", "categories")
    skeleton = reading.skeleton
    doubtful = [
        one
        for key, one in categories.items()
        if used.get(key) and one not in chosen and not _is_thing(one) and joint_named(one.name, skeleton) is None
    ]
    sure = [one.name for one in chosen if used.get(one.id)]
    asked = [one for one in doubtful if posed.get(one.id)] if chosen else doubtful
    # "Eagle" may be a pose of yoga: what has people's joints is not another thing without a word.
    alike = [
        one for one in categories.values() if posed.get(one.id) and one not in chosen and _has_the_joints(one, skeleton)
    ]
    strange = [one for one in alike if _is_thing(one)]
    if strange and any(used.get(one.id) and is_person_name(one.name) for one in chosen):
        names = ", ".join(f"{one.name} ({used[one.id]})" for one in strange)
        log.note(f"taken as other things than people, though they have the same joints: {names}", "categories")
    else:
        asked = asked + strange
    listed = ", ".join(f"{one.name or one.id} ({used[one.id]})" for one in asked or doubtful)
    if not asked:
        if doubtful and not sure:
            names = ", ".join(one.name for one in chosen)
            text = f"nobody is labelled as {names}; taken as other things than people: {listed}"
            log.note(text, "categories", warns=True)
        return
    choices = [(", ".join([*sure, one.name]), reading.with_people(*sure, one.name)) for one in asked if one.name]
    if len(choices) > 1:
        choices.append(("All of them", reading.with_people(*sure, *(one.name for one in asked if one.name))))
    cure = f"say it with {_options([*sure, 'NAME'])}"
    if chosen:
        people = sure or [one.name for one in chosen]
        choices.append((f"Only {', '.join(people)}", reading.with_people(*people)))
        cure += f", or with {_options(people)} that they are none"
    raise CocoQuestionError(
        path,
        "people",
        f"do not say {'who is a person' if not sure else 'whether these are people, too'}: {listed}",
        f"{cure}, or rename the category to person",
        f"{path.name} does not say who is a person: {listed}. Whose labels are people's?",
        tuple(choices),
    )


def _options(people: list[str]) -> str:
    return " ".join(f"--people {shlex.quote(name)}" for name in people)


def _person_category(path: Path, category: Category, reading: Reading, log: ReadLog) -> PersonCategory:
    names = tuple(category.keypoints or ())
    skeleton, own = reading.skeleton, reading.skeleton.keypoints
    if not any(name.strip() for name in names) and len(names) in (0, len(own)):
        return PersonCategory(category.id, category.name, (), own_order(skeleton))
    order = joint_order(names, skeleton)
    if order is None:
        if not (reading.coco_order and len(names) == len(own)):
            raise _unknown_joints(path, category, reading)
        log.note(f"the joints of {category.name} are taken to be in COCO's order, as was said", "categories")
        return PersonCategory(category.id, category.name, names, own_order(skeleton))
    absent = [joint for joint, place in zip(own, order.places, strict=True) if place is None]
    unknown = [name for name in names if joint_named(name, skeleton) is None]
    if absent:
        text = f"{category.name} has no {', '.join(absent)}: these joints stay not labelled, and are not exported there"
        log.note(text, "categories", warns=True)
    if unknown:
        log.note(f"joints of {category.name} kept for export, not shown: {', '.join(unknown)}", "categories")
    if not absent and not order.is_own:
        log.note(f"the joints of {category.name} are sorted by their names; exports follow the file", "categories")
    return PersonCategory(category.id, category.name, names, order)


def _unknown_joints(path: Path, category: Category, reading: Reading) -> CocoQuestionError:
    own = reading.skeleton.keypoints
    names = ", ".join((category.keypoints or ())[:6])
    fits = len(category.keypoints or ()) == len(own)
    cure = f"name them as COCO does ({', '.join(own[:3])}, ...)"
    choices: tuple[tuple[str, Reading], ...] = ()
    if fits:
        cure += ", or say --joints-in-coco-order if that is their order"
        choices = (("They are in COCO's order", msgspec.structs.replace(reading, coco_order=True)),)
    reason = (
        f"has {len(category.keypoints or ())} joints of {category.name} in an order that is not known: {names}, ..."
    )
    question = f"{path.name}: the joints' names do not say which is which ({names}, ...). Nobody can guess their order."
    return CocoQuestionError(path, "joints", reason, cure, question, choices)
