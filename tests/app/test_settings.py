"""Settings in a file of the test's own."""

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from app.storage.settings import RECENT_COUNT, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.ini"


def opened(file: Path) -> Settings:
    return Settings(QSettings(str(file), QSettings.Format.IniFormat))


def test_values_come_back_with_their_types(file: Path) -> None:
    settings = opened(file)
    settings.set_value("names", False)
    settings.set_value("opacity", 0.25)
    settings.set_value("count", 7)
    settings.set_value("device", "cpu")
    settings.set_bytes("geometry", QByteArray(b"\x00\x01\xff"))
    settings.sync()
    again = opened(file)
    assert again.value("names", True) is False
    assert again.value("opacity", 1.0) == 0.25
    assert again.value("count", 0) == 7
    assert again.value("device", "") == "cpu"
    assert again.bytes_value("geometry").data() == b"\x00\x01\xff"


def test_missing_or_foreign_values_give_the_default(file: Path) -> None:
    settings = opened(file)
    settings.set_value("count", "many")
    assert settings.value("count", 3) == 3
    assert settings.value("nothing", 0.5) == 0.5
    assert settings.bytes_value("count").isEmpty()


def test_recent_projects(file: Path, tmp_path: Path) -> None:
    settings = opened(file)
    paths = [tmp_path / f"{index}.poses" for index in range(RECENT_COUNT + 3)]
    for path in paths:
        path.touch()
        settings.add_recent_project(path)
        settings.sync()
        settings = opened(file)
    settings.add_recent_project(paths[-2])
    assert settings.recent_projects()[:2] == [paths[-2], paths[-1]]
    assert len(settings.recent_projects()) == RECENT_COUNT
    paths[-1].unlink()
    assert paths[-1] not in settings.recent_projects()
