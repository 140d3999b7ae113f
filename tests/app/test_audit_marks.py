"""What an audit has found and what was called right, in the project's file."""

from pathlib import Path

import msgspec
import pytest
from storage_builders import make_project

from app.storage.audit_labels import main
from app.storage.audit_marks import Suspect, read_marks, suspects_of

MISS = Suspect(3, "miss", "far off", 0.9, (7,), (9,), (1.0, 2.0, 30.0, 40.0))


def test_what_is_called_right_is_still_right_in_the_next_session(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poseproj")
    project.call_right(MISS.mark)
    project.call_right(MISS.mark)
    project.call_right("1/duplicate/2,3/")
    project.close()
    again = type(project).open(tmp_path / "p.poseproj")
    assert read_marks(again._connection) == {MISS.mark, "1/duplicate/2,3/"}
    again.close()


def test_marks_of_another_shape_are_not_known(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poseproj")
    project._connection.execute("INSERT INTO meta VALUES ('audit: right', '{\"later\": 1}')")
    assert read_marks(project._connection) == set()
    project.call_right(MISS.mark)
    assert read_marks(project._connection) == {MISS.mark}
    project.close()


def test_a_suspicion_is_known_by_whom_and_what_it_is_about() -> None:
    assert MISS.mark == "3/miss/7/9"
    nobody = Suspect(3, "person", "not labelled", 0.9, (), (), (100.0, 50.0, 60.0, 120.0))
    moved = msgspec.structs.replace(nobody, box=(101.0, 51.0, 59.0, 121.0), suspicion=0.4)
    elsewhere = msgspec.structs.replace(nobody, box=(300.0, 50.0, 60.0, 120.0))
    assert nobody.mark == moved.mark != elsewhere.mark, "the same person, found again a little elsewhere"


def test_findings_come_back_from_what_the_child_prints() -> None:
    assert suspects_of(msgspec.json.decode(msgspec.json.encode([MISS.to_plain()]))) == [MISS]
    with pytest.raises(msgspec.ValidationError):
        suspects_of(None)


def test_what_is_no_project_is_an_error_of_the_child(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.poseproj").write_text("no project")
    assert main([str(tmp_path / "no.poseproj"), "--model", str(tmp_path / "none.safetensors")]) == 1
    assert '"error"' in capfd.readouterr().out
