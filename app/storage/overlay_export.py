"""Writes photos with their labels drawn in, as PNG: `python -P -m app.storage.overlay_export PROJECT FOLDER`.

Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from app.storage.child_lines import print_line, run_child_work
from app.storage.export_arguments import export_parser
from app.storage.new_folder import FreeNames, new_folder
from app.storage.project_skeleton import read_skeleton
from app.storage.snapshot import Only, count_images, labelled_images, snapshot
from msarcnn.images import ImageError, load_image
from msarcnn.overlay import DrawnPerson, draw_people


def export_overlays(
    project: Path, folder: Path, *, only: Only = "labelled", listed: Sequence[int] = ()
) -> dict[str, Any]:
    """Writes the pictures into a new or empty folder; returns {"path", "images", "skipped"}.

    Raises:
        ProjectError: the project cannot be read.
        FolderTakenError: there is something in the folder.
        OSError, sqlite3.Error: something cannot be written.
    """
    skipped: list[str] = []
    count = 0
    with new_folder(folder) as unfinished, snapshot(project, folder.absolute(), listed) as connection:
        total, skeleton = count_images(connection, only), read_skeleton(connection)
        names = FreeNames([root for (root,) in connection.execute("SELECT path FROM root ORDER BY id")])
        for index, image in enumerate(labelled_images(connection, only), 1):
            size = (image.width, image.height) if image.width and image.height else None
            try:
                pixels = load_image(image.root / image.path, image.root, labelled_size=size).pixels
            except ImageError as error:
                skipped.append(str(error))
                continue
            people = [
                DrawnPerson(
                    (person.box.x, person.box.y, person.box.w, person.box.h),
                    [(joint.x, joint.y, joint.v) for joint in person.joints],
                    person.is_crowd,
                )
                for person in image.people
            ]
            out = (unfinished / names.claim(image.root, image.path)).with_suffix(".png")
            out.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_people(pixels, people, skeleton)).save(out, compress_level=3)
            count += 1
            print_line("progress", done=index, total=total)
    return {"path": str(folder), "images": count, "skipped": skipped[:100]}


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.overlay_export", "write photos with their labels", "labelled")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out, lambda: export_overlays(options.project, options.out, only=options.only, listed=options.listed)
    )


if __name__ == "__main__":
    sys.exit(main())
