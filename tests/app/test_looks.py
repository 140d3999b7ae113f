"""Which model has looked where: what the file says of it after everything that changes predictions."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from storage_builders import make_joints, make_prediction, make_project

from app.document.document import FIRST_OWN_PERSON_KEY, Document
from app.document.records import Box, Change, Edit, ImageState, Look, Person, Prediction, PredictionStatus
from app.storage.project import Project
from app.storage.results_export import export_results, main
from app.storage.rows import ImageRow, prediction_columns
from app.storage.split import split_project
from app.storage.staging import write_results
from msarcnn.skeleton import coco17

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    opened = make_project(tmp_path / "p.poses")
    yield opened
    opened.close()


def see(project: Project, image: int, model: str, *scores: float) -> tuple[Prediction, ...]:
    """A model looks at an image; returns its open predictions."""
    found = [make_prediction(0, 60.0 * index, score, model) for index, score in enumerate(scores)]
    return project.store_predictions(image, model, found, 640, 480)[2]


def decide(project: Project, image: int, prediction: Prediction, status: PredictionStatus) -> None:
    project.apply(Edit(image, "decide", predictions=(Change(prediction, replace(prediction, status=status)),)))


def facts(row: ImageRow) -> tuple[str, int, float | None]:
    return row.model, row.predictions, row.lowest_confidence


def test_rows_tell_of_the_shown_model_or_of_the_newest_look(project: Project) -> None:
    see(project, 1, A, 0.9, 0.2)
    see(project, 1, B, 0.8)
    see(project, 2, B, 0.7)
    assert [facts(row) for row in project.image_rows()] == [(B, 1, 0.8), (B, 1, 0.7), ("", 0, None)]
    assert [facts(row) for row in project.image_rows(A)] == [(A, 2, 0.2), (B, 1, 0.7), ("", 0, None)]
    assert [facts(row) for row in project.image_rows(C)] == [facts(row) for row in project.image_rows()]
    see(project, 1, A, 0.6)
    assert project.image(1).looks == (Look(B, 1, 0.8), Look(A, 1, 0.6)), "looking again is the newest look"
    assert facts(project.image_rows()[0]) == (A, 1, 0.6)


def test_having_found_nobody_is_a_look(project: Project) -> None:
    see(project, 1, A, 0.9)
    record, _, found = project.store_predictions(1, B, [], 640, 480)
    assert found == () and (record.model, record.predictions) == (B, 0)
    assert record.state is ImageState.PREDICTED
    assert (project.seen_by(B), project.models_that_looked()) == ({1}, {A: "", B: ""})
    assert facts(project.image_rows(A)[0]) == (A, 1, 0.9)
    see(project, 2, C)
    assert project.image(2).state is ImageState.PREDICTED and project.image(2).looks == (Look(C),)


def test_a_decision_counts_for_the_model_whose_prediction_it_was(project: Project) -> None:
    first, second = see(project, 1, A, 0.9, 0.2)
    see(project, 1, B, 0.8)
    decide(project, 1, second, PredictionStatus.REJECTED)
    assert project.image(1).looks == (Look(A, 1, 0.9), Look(B, 1, 0.8))
    assert first.score == 0.9
    assert (project.image(1).model, project.image(1).showing(A).predictions) == (B, 1)


def test_names_of_the_models_that_have_looked(project: Project) -> None:
    project.add_model(A, "first")
    project.add_model(C, "has seen nothing")
    see(project, 1, A, 0.9)
    see(project, 2, B)
    assert project.models_that_looked() == {A: "first", B: ""}


def test_exported_predictions_are_those_that_are_shown(project: Project, tmp_path: Path) -> None:
    see(project, 1, A, 0.9, 0.2)
    see(project, 1, B, 0.8)
    see(project, 2, B, 0.7)
    see(project, 3, A, 0.6)
    see(project, 3, B)

    def scores(shown: str = "") -> list[tuple[str, float]]:
        export_results(project.path, tmp_path / "out.json", shown=shown)
        return [(one["file_name"], one["score"]) for one in json.loads((tmp_path / "out.json").read_text())]

    one, two, three = ("000000.jpg", "000001.jpg", "000002.jpg")
    assert scores() == [(one, 0.8), (two, 0.7)]
    assert scores(A) == [(one, 0.9), (one, 0.2), (two, 0.7), (three, 0.6)]
    assert main([str(project.path), str(tmp_path / "out.json"), "--model", A]) == 0
    assert len(json.loads((tmp_path / "out.json").read_text())) == 4


def test_looks_go_into_parts_and_come_back(project: Project, tmp_path: Path) -> None:
    see(project, 1, A, 0.9)
    see(project, 1, B, 0.8)
    see(project, 3, A, 0.7)
    project.identify()
    split_project(project.path, tmp_path / "parts", 2)
    parts = [Project.open(path) for path in sorted((tmp_path / "parts").iterdir())]
    one = next(part for part in parts if part.image_rows()[0].key == 1)
    for part in parts:
        keys = {row.key for row in part.image_rows()}
        assert part.seen_by(A) == keys & {1, 3}
    (found,) = see(one, 1, C, 0.6)
    decide(one, 1, found, PredictionStatus.REJECTED)
    for part in parts:
        part.close()
    keys = Document(coco17()).reserve_block(project.part_report(one.path).people)
    assert list(project.take_part(one.path, "mine", keys)) == [1]
    assert project.image(1).looks == (Look(A, 1, 0.9), Look(B, 1, 0.8), Look(C))
    assert [prediction.model for prediction in project.predictions(1)] == [A, B, C]


def test_what_a_model_found_in_the_whole_since_the_split_stays(project: Project, tmp_path: Path) -> None:
    see(project, 1, A, 0.9)
    project.identify()
    split_project(project.path, tmp_path / "parts", 2)
    paths = sorted((tmp_path / "parts").iterdir())
    see(project, 1, B, 0.8)
    see(project, 2, B, 0.7)
    for path in paths:
        part = Project.open(path)
        for row in part.image_rows():
            part.apply(Edit(row.key, "flag", flagged=Change(False, True)))
            if row.key == 1:
                decide(part, 1, part.predictions(1)[0], PredictionStatus.REJECTED)
                see(part, 1, C, 0.6)
        part.close()
        list(project.take_part(path, "mine", Document(coco17()).reserve_block(1)))
    assert project.image(1).looks == (Look(A), Look(C, 1, 0.6), Look(B, 1, 0.8))
    assert {found.model: found.status for found in project.predictions(1)} == {
        A: PredictionStatus.REJECTED,
        B: PredictionStatus.OPEN,
        C: PredictionStatus.OPEN,
    }
    assert (project.image(2).looks, project.image(2).state) == ((Look(B, 1, 0.7),), ImageState.PREDICTED)


models = st.sampled_from((A, B, C))
images = st.integers(1, 3)
scores = st.lists(st.sampled_from((0.1, 0.25, 0.5, 0.75)), max_size=4)


class LooksMachine(RuleBasedStateMachine):
    """Counts, and the order of looks, after pre-fills, imports of results, decisions and labels in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.project = make_project(self.folder / "p.poses")
        self.order: dict[int, list[str]] = {image: [] for image in (1, 2, 3)}
        self.document = Document(coco17())

    def teardown(self) -> None:
        self.project.close()
        shutil.rmtree(self.folder)

    def looked(self, image: int, model: str) -> None:
        self.order[image] = [one for one in self.order[image] if one != model] + [model]

    @rule(image=images, model=models, scores=scores)
    def prefill(self, image: int, model: str, scores: list[float]) -> None:
        mine = see(self.project, image, model, *scores)
        self.looked(image, model)
        if self.document.is_open(image):
            self.document.set_predictions(image, mine, model)

    @rule(model=models, scores=scores)
    def import_results(self, model: str, scores: list[float]) -> None:
        rows = [(2, *prediction_columns(make_prediction(0, 60.0 * at, one))) for at, one in enumerate(scores)]
        write_results(self.folder / "staged", model, "of a file", rows)
        for keys in self.project.attach_results(self.folder / "staged"):
            for image in keys:
                self.looked(image, model)
                self.document.open_image(*self.project.load_image(image))

    @rule(image=images, index=st.integers(0, 9), status=st.sampled_from(list(PredictionStatus)))
    def decide(self, image: int, index: int, status: PredictionStatus) -> None:
        found = self.project.predictions(image)
        if found:
            one = found[index % len(found)]
            edit = Edit(image, "decide", predictions=(Change(one, replace(one, status=status)),))
            self.project.apply(edit)
            self.document.apply(edit)

    @rule(image=images, state=st.sampled_from(list(ImageState)))
    def label(self, image: int, state: ImageState) -> None:
        key = max(self.project.next_person_key, FIRST_OWN_PERSON_KEY)
        person = Person(key, Box(1, 2, 30, 40), make_joints())
        before = self.project.image(image).state
        edit = Edit(image, "draw", (Change(None, person),), state=Change(before, state))
        self.project.apply(edit)
        self.document.apply(edit)

    @rule(image=images)
    def open_image(self, image: int) -> None:
        self.document.open_image(*self.project.load_image(image))

    @rule(model=st.sampled_from((A, B, C, "")))
    def show(self, model: str) -> None:
        self.document.show_model(model)

    @invariant()
    def the_file_counts_right(self) -> None:
        for image, order in self.order.items():
            found = self.project.predictions(image)
            open_ones = [one for one in found if one.status is PredictionStatus.OPEN]
            counted = []
            for model in order:
                of_model = [one.score for one in open_ones if one.model == model]
                counted.append(Look(model, len(of_model), min(of_model, default=None)))
            assert self.project.image(image).looks == tuple(counted)
            assert self.project.image(image).people == len(self.project.load_image(image)[1])
        for shown in (A, B, C, ""):
            rows = {row.key: facts(row) for row in self.project.image_rows(shown)}
            records = map(self.project.image, rows)
            assert rows == {one.key: facts(one.showing(shown)) for one in records}  # type: ignore[arg-type]
            assert self.project.seen_by(shown) == {image for image, order in self.order.items() if shown in order}

    @invariant()
    def the_document_shows_what_the_file_has(self) -> None:
        for image in self.document.open_images():
            stored = self.project.image(image).showing(self.document.shown_model)
            mine = self.document.image(image)
            assert (mine.looks, facts(mine)) == (stored.looks, facts(stored))  # type: ignore[arg-type]
            shown = [one for one in self.document.predictions(image) if one.status is PredictionStatus.OPEN]
            assert len(shown) == mine.predictions and {one.model for one in shown} <= {mine.model}


LooksMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLooks = LooksMachine.TestCase
