"""Which signal of the window's parts goes where; decisions are made in the controllers."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.canvas.adjustments import Adjustments
from app.canvas.heatmap_image import HeatmapLook

if TYPE_CHECKING:
    from app.canvas.map_grid import MapGrid
    from app.controllers.maps import Maps
    from app.dialogs.maps import MapsWindow
    from app.main_window import MainWindow


def connect_panels(window: "MainWindow") -> None:
    """Panels and canvas with the controllers."""
    layers, canvas = window.layers, window.canvas
    window.image_list.chosen.connect(lambda key: setattr(window.session.selection, "current_image", key))
    window.image_list.thumbnails_wanted.connect(window.photos.want_thumbnails)
    window.image_list.left.connect(canvas.setFocus)
    window.image_list.order_wanted.connect(window.ordering.choose)
    window.ordering.chosen.connect(window.image_list.show_order)
    window.image_list.selected.connect(window.prefill.set_selected)
    window.header.left.connect(canvas.setFocus)
    window.header.note_edited.connect(window.editing.set_note)
    window.conditions.changed.connect(
        lambda: window.header.show_image(window.session.current_record(), window.session.read_only)
    )
    canvas.tool_changed.connect(lambda: window.conditions.set_placing(canvas.placing))
    window.session.acceptance_changed.connect(window.joints.refresh)
    window.session.acceptance_changed.connect(lambda: window.predictions.show_habit(window.session.habit_people()))
    window.session.shown_model_changed.connect(lambda: window.predictions.show_habit(window.session.habit_people()))
    window.joints.model.placed.connect(window.editing.move_joint)
    window.joints.model.visibility_set.connect(window.editing.set_visibility)
    # Arrows and Tab move and select joints only while the canvas has the focus.
    window.people.clicked.connect(canvas.setFocus)
    window.joints.clicked.connect(canvas.setFocus)
    window.predictions.threshold_changed.connect(layers.set_threshold)
    window.predictions.accept_all_wanted.connect(window.editing.accept_shown)
    window.predictions.prefill_wanted.connect(window.actions_by_id["prefill_image"].trigger)
    window.proposals.counted.connect(
        lambda now: window.predictions.show_counts(len(now.shown), now.hidden, now.matching)
    )
    window.proposals.counted.connect(lambda now: _show_proposed(window, len(now.accepted)))
    window.heatmap_panel.shown_changed.connect(lambda on: layers.switch("heatmap", on))
    window.heatmap_panel.look_changed.connect(lambda *values: layers.set_heatmap(HeatmapLook(*values)))
    window.heatmap_panel.grid_wanted.connect(window.show_maps)
    canvas.hovered.connect(window.heatmaps.hover)
    canvas.pointer_moved.connect(window.heatmaps.point)
    window.heatmaps.status_changed.connect(window.heatmap_panel.show_status)
    layers.switched.connect(lambda layer, on: window.docks.show_heatmap(on) if layer == "heatmap" else None)
    window.view_panel.adjusted.connect(lambda *values: layers.set_adjustments(Adjustments(*values)))
    window.view_panel.reset_wanted.connect(layers.reset_adjustments)
    layers.changed.connect(window.show_layers)
    window.show_layers()
    window.editing.set_cancel(canvas.cancel, canvas.let_go)
    window.editing.set_awaited(lambda: window.prefill.awaited)
    window.scene.set_places(window.heatmaps.place_near)
    window.scene.box_previewed.connect(window.estimation.follow)
    window.scene.box_let_go.connect(window.estimation.stop_following)
    window.estimation.followed.connect(window.scene.show_followers)
    canvas.pointer_moved.connect(window.status.show_pointer)
    canvas.pointer_left.connect(window.status.pointer.clear)
    canvas.scale_changed.connect(window.status.show_scale)
    canvas.hint_changed.connect(window.status.hint.setText)
    canvas.space_tapped.connect(lambda: window.keys.trigger("Space"))
    window.keys.changed.connect(lambda: window.scene.key_names.set(window.keys.names()))
    window.scene.key_names.set(window.keys.names())
    canvas.use_select()
    window.empty.recent_chosen.connect(lambda path: window.opening.open_paths([Path(path)]))
    starts = {"folder": "open_folder", "images": "open_images", "coco": "open_coco", "sample": "open_sample"}
    window.empty.chosen.connect(lambda name: window.actions_by_id[starts[name]].trigger())


def connect_maps(maps: "Maps", window: "MapsWindow", grid: "MapGrid") -> None:
    """The window with many heatmaps with what fills it."""
    window.opened.connect(maps.set_open)
    window.view_changed.connect(maps.set_view)
    window.save_wanted.connect(lambda: maps.save(grid.picture()))
    grid.joint_chosen.connect(maps.choose)
    maps.filled.connect(grid.show_tiles)
    maps.noted.connect(grid.show_note)
    maps.titled.connect(window.show_title)


def connect_background_work(window: "MainWindow") -> None:
    """Children's work with the status bar, and the training with its panel."""
    strip, jobs, tuning, models = window.prefill_strip, window.job_strip, window.fine_tuning, window.models
    window.prefill.progress.connect(
        lambda done, total, left: strip.show_progress("Pre-fill", done, total, left if left >= 0 else None)
    )
    window.prefill.ended.connect(strip.finish)
    window.opening.came_again.connect(window.merging.take_again)
    strip.pause_wanted.connect(window.prefill.pause)
    strip.cancel_wanted.connect(window.prefill.cancel)
    children = (
        window.exporting,
        window.detections,
        window.merging,
        window.splitting,
        window.videos,
        window.auditing,
        models,
    )
    jobs.watch(window.opening.progress, window.opening.progress_ended, window.opening.cancel_import)
    for job in children:
        jobs.watch(job.progress, job.ended, job.cancel)
    tuning.began.connect(window.training.begin)
    tuning.began.connect(lambda _: window.docks.raise_training())
    tuning.logged.connect(window.training.show_event)
    tuning.ended.connect(window.training.show_end)
    tuning.offered.connect(window.training.show_offer)
    window.training.stop_wanted.connect(tuning.stop)
    window.training.cancel_wanted.connect(tuning.cancel)
    window.training.pause_wanted.connect(tuning.pause)
    window.training.start_wanted.connect(tuning.ask)
    window.training.use_wanted.connect(tuning.use_offered)


def _show_proposed(window: "MainWindow", count: int) -> None:
    """Beside the people: how many Space would accept, else what there is to do."""
    record = window.session.current_record()
    if window.session.read_only:
        text = ""
    elif count:
        text = f"{{accept_and_go_on}} accepts {'it' if count == 1 else 'them'} and goes on"
    elif record is not None and record.state.finished:
        text = "{new_person} draws a person"  # what the model finds is not shown on a finished image
    else:
        text = "{new_person} draws a person · {prefill_image} asks the model"
    window.people.show_proposed(count, window.scene.key_names.hint(text))
