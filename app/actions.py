"""The one table of everything a user can do: menus, tool bar, shortcuts, tooltips and the F1 sheet come from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QIcon

MENUS = ("File", "Edit", "View", "Person", "Predict", "Train", "Help")


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One thing a user can do.

    Attributes:
        id: Unique name; also the name under which changed keys are stored.
        text: Menu text.
        icon: qtawesome name.
        shortcut: In Qt's portable form; several are separated by two blanks.
        menu: One of `MENUS`, or "Menu/Submenu".
        tooltip: One sentence.
        enabled_when: Name of a condition (app.controllers.conditions), "always" for none.
        handler: "controller.method", resolved when the window is put together.
        argument: Passed to the handler, if not None.
        layer: For on/off actions: the canvas layer whose state they show.
        canvas_only: The key counts only while the canvas has the focus: other widgets need it, too.
        tool_bar: Whether it has a button there.
        separated: Whether a separator precedes it in its menu.
    """

    id: str
    text: str
    icon: str
    shortcut: str
    menu: str
    tooltip: str
    enabled_when: str
    handler: str
    argument: Any = None
    layer: str = ""
    canvas_only: bool = False
    tool_bar: bool = False
    separated: bool = False

    @property
    def shortcuts(self) -> tuple[str, ...]:
        return tuple(part for part in self.shortcut.split("  ") if part)


def _a(*args: Any, **more: Any) -> ActionSpec:
    return ActionSpec(*args, **more)


_FILE = (
    _a("open_folder", "Open &folder…", "mdi6.folder-open-outline", "Ctrl+O", "File",
       "Open all photos of a folder and its subfolders", "always", "opening.ask_folder", tool_bar=True),
    _a("open_images", "Open &images…", "mdi6.image-multiple-outline", "Ctrl+Shift+O", "File",
       "Open single photos", "always", "opening.ask_images"),
    _a("open_coco", "Open &COCO file…", "mdi6.code-json", "Ctrl+J", "File",
       "Open COCO annotations and their photos", "always", "opening.ask_coco"),
    _a("open_yolo", "Open &YOLO data set…", "mdi6.folder-table-outline", "", "File",
       "Open a YOLO-pose data set by its .yaml", "always", "opening.ask_yolo"),
    _a("open_video", "Frames of a &video…", "mdi6.filmstrip", "", "File",
       "Make photos of a video's frames and open them", "always", "videos.ask"),
    _a("open_project", "Open &project…", "mdi6.archive-outline", "Ctrl+Alt+O", "File",
       "Open a project file", "always", "opening.ask_project"),
    _a("open_sample", "Open &sample project", "mdi6.school-outline", "", "File",
       "Open drawn people with exact labels; needs no download", "always", "opening.open_sample"),
    _a("import_results", "&Import predictions…", "mdi6.import", "", "File",
       "Bring in what another model has found: a COCO results file", "writable project", "detections.ask",
       separated=True),
    _a("import_report", "Import &report…", "mdi6.text-box-check-outline", "", "File",
       "What the newest import has taken, repaired and left out, and why", "project", "import_reports.show"),
    _a("merge", "&Merge labels…", "mdi6.call-merge", "", "File",
       "Bring in the labels of another project, of a part of this one, or of a COCO file", "writable project",
       "merging.ask"),
    _a("split", "Split for several &people…", "mdi6.call-split", "", "File",
       "Divide the images into projects for several people; Merge labels brings them back", "writable project",
       "splitting.ask"),
    _a("export_coco", "&Export…", "mdi6.export-variant", "Ctrl+E", "File",
       "Write the labels as COCO or YOLO-pose, as pictures, or the predictions as COCO results", "project",
       "exporting.ask", tool_bar=True),
    _a("snapshot", "Make a s&napshot", "mdi6.content-save-outline", "Ctrl+S", "File",
       "Copy the project as it is now, to come back to; saving happens by itself", "writable project",
       "backups.make"),
    _a("audit", "A&udit labels…", "mdi6.magnify-scan", "", "File",
       "Labels that may be wrong, the most suspicious first", "project", "auditing.show"),
    _a("effort", "E&ffort…", "mdi6.timer-outline", "", "File",
       "What the work on this project cost: time, corrections, what the model saved", "project", "effort.show"),
    _a("close_window", "&Quit", "mdi6.exit-to-app", "Ctrl+Shift+Q", "File",
       "Close the window; everything is saved already", "always", "window.close", separated=True),
)  # fmt: skip

_EDIT = (
    _a("undo", "&Undo", "mdi6.undo", "Ctrl+Z", "Edit", "Take back the last change", "undo", "editing.undo",
       tool_bar=True),
    _a("redo", "&Redo", "mdi6.redo", "Ctrl+Shift+Z  Ctrl+Y", "Edit", "Do again what was taken back", "redo",
       "editing.redo", tool_bar=True),
    _a("next_image", "&Next image", "mdi6.arrow-right", "D", "Edit", "Go to the next image of the list", "project",
       "navigation.next", tool_bar=True, separated=True),
    _a("previous_image", "&Previous image", "mdi6.arrow-left", "A", "Edit", "Go to the previous image of the list",
       "project", "navigation.previous"),
    _a("next_unfinished", "Next un&finished image", "mdi6.skip-next-outline", "Ctrl+D", "Edit",
       "Go to the next image that is not done", "project", "navigation.next_unfinished", tool_bar=True),
    _a("previous_unfinished", "Previous unfinished image", "mdi6.skip-previous-outline", "Ctrl+A", "Edit",
       "Go back to an image that is not done", "project", "navigation.previous_unfinished"),
    _a("mark_done", "Mark image &done", "mdi6.check-circle-outline", "Ctrl+Space", "Edit",
       "Everybody in this image is labelled", "image", "editing.mark_done", tool_bar=True, separated=True),
    _a("mark_empty", "N&obody here", "mdi6.account-off-outline", "E", "Edit",
       "There is no person in this image", "no people", "editing.mark_empty"),
    _a("flag_image", "&Flag image", "mdi6.flag-outline", "T", "Edit", "Mark the image for a second look", "image",
       "editing.toggle_flag", layer="flag"),
    _a("note", "Note on the image", "mdi6.note-text-outline", "Ctrl+M", "Edit", "Write a note about the image",
       "image", "window.edit_note"),
    _a("mark_reviewed", "Mark &reviewed", "mdi6.check-decagram-outline", "Ctrl+R", "Edit",
       "A second look found the labels right", "finished", "editing.mark_reviewed"),
    _a("reopen_image", "Mark image un&finished", "mdi6.circle-half-full", "", "Edit",
       "Work on a finished image again", "finished", "editing.reopen"),
    _a("cancel", "&Cancel or deselect", "mdi6.close", "Esc", "Edit",
       "Cancel the gesture, or select nothing", "shown image", "editing.cancel", separated=True),
)  # fmt: skip

_VIEW = (
    _a("fit", "&Fit", "mdi6.fit-to-page-outline", "F", "View", "Show the whole photo", "shown image", "canvas.fit",
       tool_bar=True),
    _a("one_to_one", "&One to one", "mdi6.magnify", "Ctrl+1", "View", "One image pixel a screen pixel", "shown image",
       "canvas.one_to_one"),
    _a("toggle_boxes", "&Boxes", "mdi6.vector-square", "B", "View", "Show or hide the boxes", "always",
       "layers.toggle", "boxes", layer="boxes", separated=True),
    _a("toggle_skeleton", "&Skeletons", "mdi6.human", "K", "View", "Show or hide joints and bones", "always",
       "layers.toggle", "skeleton", layer="skeleton"),
    _a("toggle_names", "Joint &names", "mdi6.label-outline", "L", "View",
       "Show or hide the names of the joints; among many people those of the selected one", "always",
       "layers.toggle", "names", layer="names"),
    _a("toggle_predictions", "&Predictions", "mdi6.creation-outline", "G", "View",
       "Show or hide what the model found", "always", "layers.toggle", "predictions", layer="predictions"),
    _a("toggle_heatmap", "&Heatmap of the selected joint", "mdi6.blur", "H", "View",
       "Show where the model thinks the selected joint may be", "always", "layers.toggle", "heatmap",
       layer="heatmap", tool_bar=True),
    _a("show_maps", "All hea&tmaps…", "mdi6.view-grid-outline", "Shift+H", "View",
       "Every joint's heatmap of the selected person side by side, or what two models make of a joint", "project",
       "window.show_maps"),
    _a("toggle_fade", "Fade &others", "mdi6.account-details-outline", "Shift+F", "View",
       "Let everybody but the selected person step back", "always", "layers.toggle", "fade", layer="fade"),
    _a("next_panel", "Next panel", "mdi6.tab", "F6", "View/Go to", "Move the keyboard to the next panel", "project",
       "focus.next", separated=True),
    _a("previous_panel", "Previous panel", "mdi6.keyboard-tab-reverse", "Shift+F6", "View/Go to",
       "Move the keyboard to the previous panel", "project", "focus.previous"),
    _a("search_images", "Search images", "mdi6.magnify", "Ctrl+F", "View/Go to",
       "Move the keyboard to the search field", "project", "focus.search"),
    _a("brighter", "Brighter", "mdi6.brightness-5", "Ctrl+Up", "View/Photo",
       "Show the photo brighter; the file stays as it is", "shown image", "layers.brighten", 0.1, separated=True),
    _a("darker", "Darker", "mdi6.brightness-4", "Ctrl+Down", "View/Photo",
       "Show the photo darker; the file stays as it is", "shown image", "layers.brighten", -0.1),
    _a("lighten_shadows", "See into the shadows", "mdi6.weather-night", "Ctrl+Shift+Up", "View/Photo",
       "Show dark places brighter (gamma); the file stays as it is", "shown image", "layers.lift_shadows", 1.25),
    _a("deepen_shadows", "Deeper shadows", "mdi6.weather-sunny", "Ctrl+Shift+Down", "View/Photo",
       "Show dark places darker (gamma); the file stays as it is", "shown image", "layers.lift_shadows", 0.8),
    _a("reset_photo", "Photo as it &is", "mdi6.image-refresh-outline", "Ctrl+0", "View/Photo",
       "Set brightness, contrast and gamma back", "adjusted", "layers.reset_adjustments"),
)  # fmt: skip

_PERSON = (
    _a("new_person", "&New person", "mdi6.account-plus-outline", "N", "Person",
       "Drag a box around a person; the model places the joints", "image", "canvas.draw_new_person", tool_bar=True),
    _a("reestimate", "&Re-estimate joints", "mdi6.auto-fix", "R", "Person",
       "Ask the model again for the joints that nobody placed by hand", "person", "estimation.reestimate"),
    _a("place_joints", "&Place joints in order", "mdi6.cursor-default-click-outline", "J", "Person",
       "Click the missing joints one after the other; the right button places an occluded one", "person",
       "canvas.place_joints"),
    _a("skip_joint", "S&kip this joint", "mdi6.debug-step-over", "S", "Person",
       "While placing joints in order: leave this one as it is", "placing", "canvas.skip_joint"),
    _a("copy_person", "&Copy", "mdi6.content-copy", "Ctrl+C", "Person", "Remember the selected person", "shown person",
       "clipboard.copy", separated=True),
    _a("paste_person", "P&aste", "mdi6.content-paste", "Ctrl+V", "Person",
       "Add the remembered person to this image", "copied", "clipboard.paste"),
    _a("paste_previous", "People from pre&vious image", "mdi6.account-multiple-plus-outline", "Ctrl+Shift+V", "Person",
       "Add everybody from the image before who is not labelled here yet", "image", "clipboard.from_previous"),
    _a("duplicate", "D&uplicate", "mdi6.content-duplicate", "Ctrl+Shift+D", "Person",
       "Make a second person with the same box and joints", "person", "editing.duplicate"),
    _a("delete", "&Delete joints or person", "mdi6.delete-outline", "Del", "Person",
       "Delete the selected joints; without any the person", "person", "editing.delete", tool_bar=True),
    _a("cycle_visibility", "Cycle &visibility", "mdi6.eye-outline", "V", "Person",
       "Make the selected joints visible, occluded, not labelled", "joint", "editing.cycle_visibility", separated=True),
    _a("next_place", "Next p&lace of the joint", "mdi6.map-marker-right-outline", "]", "Person",
       "Move the joint to the next place where the model may see it", "shown joint", "peaks.step", 1),
    _a("previous_place", "Previous place of the joint", "mdi6.map-marker-left-outline", "[", "Person",
       "Move the joint back to the place before", "shown joint", "peaks.step", -1),
    _a("swap_sides", "S&wap left and right", "mdi6.swap-horizontal", "X", "Person",
       "Exchange left and right joints, of several selected ones just these", "person", "editing.swap_left_right"),
    _a("mirror", "&Mirror", "mdi6.flip-horizontal", "M", "Person",
       "Mirror the pose within its box; left joints become right ones", "person", "editing.mirror"),
    _a("toggle_crowd", "Mark as &crowd", "mdi6.account-group-outline", "C", "Person",
       "The box holds a crowd that cannot be told apart", "person", "editing.toggle_crowd"),
    _a("grow_box", "&Grow box to joints", "mdi6.arrow-expand-all", "Shift+G", "Person",
       "Make the box so large that it holds every labelled joint", "person", "editing.grow_box"),
    _a("tighten_box", "&Tighten box", "mdi6.arrow-collapse-all", "Shift+T", "Person",
       "Shrink the box around the labelled joints, with room for head and feet", "person", "editing.tighten_box"),
    _a("next_joint", "Next joint", "mdi6.chevron-right", "Tab", "Person/Select", "Select the next joint",
       "shown pose", "editing.step_joint", 1, canvas_only=True, separated=True),
    _a("previous_joint", "Previous joint", "mdi6.chevron-left", "Shift+Tab", "Person/Select",
       "Select the previous joint", "shown pose", "editing.step_joint", -1, canvas_only=True),
    _a("next_person", "Next person", "mdi6.chevron-double-right", "W", "Person/Select", "Select the next person",
       "people", "editing.step_person", 1),
    _a("previous_person", "Previous person", "mdi6.chevron-double-left", "Q", "Person/Select",
       "Select the previous person", "people", "editing.step_person", -1),
    *(
        _a(f"select_person_{number}", f"Person {number}", f"mdi6.numeric-{number}-circle-outline", str(number),
           "Person/Select", f"Select person {number} of the image", "people", "editing.select_person", number)
        for number in range(1, 10)
    ),
    *(
        _a(f"nudge_{name}{'_far' if far else ''}", f"{name.capitalize()} by {10 if far else 1} px",
           f"mdi6.arrow-{name}-{'bold' if far else 'thin'}", f"{'Shift+' if far else ''}{name.capitalize()}",
           "Person/Nudge", f"Move the selected joints, else the whole person, {name} by {10 if far else 1} px",
           "person", "editing.nudge", (dx * (10 if far else 1), dy * (10 if far else 1)), canvas_only=True)
        for far in (False, True)
        for name, dx, dy in (("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1))
    ),
)  # fmt: skip

_PREDICT = (
    _a("prefill_image", "&Pre-fill this image", "mdi6.creation", "P", "Predict",
       "Ask the model for the people of this image", "image", "prefill.this_image", tool_bar=True),
    _a("look_harder", "Look &harder", "mdi6.image-search-outline", "Ctrl+Shift+P", "Predict",
       "Ask the model again for the people of this image, in several sizes and mirrored: slower, and often better",
       "image", "prefill.look_harder"),
    _a("prefill_all", "Pre-fill &all unfinished", "mdi6.playlist-star", "Ctrl+P", "Predict",
       "Ask the model for all images that nobody worked on; runs in the background", "writable project",
       "prefill.all_unfinished"),
    _a("prefill_selected", "Pre-fill &selected", "mdi6.playlist-check", "Shift+P", "Predict",
       "Ask the model for the images that are selected in the list", "selected images", "prefill.selected"),
    _a("accept_and_go_on", "Accept shown and &go on", "mdi6.check-all", "Space", "Predict",
       "Make every shown prediction a label, and go to the next image", "image", "editing.accept_and_go_on",
       tool_bar=True, separated=True),
    _a("accept_shown", "Accept all &shown", "mdi6.account-multiple-check-outline", "Shift+Return", "Predict",
       "Make every shown prediction a label", "image", "editing.accept_shown"),
    _a("accept", "A&ccept selected", "mdi6.check", "Return  Enter", "Predict",
       "Make the selected prediction a label", "prediction", "editing.accept", canvas_only=True),
    _a("reject", "Re&ject selected", "mdi6.close-circle-outline", "Backspace", "Predict",
       "The selected prediction is wrong; it will not come back", "prediction", "editing.reject", canvas_only=True),
    _a("auto_prefill", "Pre-fill images when &opened", "mdi6.lightning-bolt-outline", "", "Predict",
       "Ask the model as soon as an image without labels is opened", "always", "prefill.toggle_automatic",
       layer="automatic", separated=True),
    _a("refine", "Joints &follow corrected ones", "mdi6.vector-polyline-edit", "", "Predict",
       "When a joint is put right, the model places those beside it anew that nobody has placed", "always",
       "estimation.toggle_refining", layer="refine"),
)  # fmt: skip

_TRAIN = (
    _a("fine_tune", "&Fine-tune…", "mdi6.tune-variant", "Ctrl+T", "Train",
       "Make a better model from the labels of this project", "no training", "fine_tuning.ask", tool_bar=True),
    _a("stop_training", "&Stop, keep the best", "mdi6.stop-circle-outline", "", "Train",
       "End the run now and keep the best model so far", "training", "fine_tuning.stop"),
    _a("cancel_training", "&Cancel the run", "mdi6.cancel", "", "Train",
       "End the run now without a model", "training", "fine_tuning.cancel"),
    _a("models", "&Models…", "mdi6.brain", "Ctrl+Shift+M", "Train",
       "See, download and choose models", "always", "models.show", separated=True),
    _a("load_model", "&Use a model file…", "mdi6.file-cog-outline", "", "Train",
       "Let a model file (.safetensors, .pth) answer from now on", "always", "models.ask_model"),
    _a("bundled_model", "Use the &bundled model", "mdi6.package-variant-closed", "", "Train",
       "Let the model that came with the app answer from now on", "always", "models.use_bundled"),
)  # fmt: skip

_HELP = (
    _a("keys", "&Keys", "mdi6.keyboard-outline", "F1", "Help", "Show all keys", "always", "help.show_keys"),
    _a("tour", "&Tour", "mdi6.map-marker-path", "", "Help", "Five hints for the beginning", "project",
       "window.show_tour"),
    _a("change_keys", "&Change keys…", "mdi6.keyboard-settings-outline", "", "Help",
       "Give the actions other keys", "always", "help.change_keys"),
    *(
        _a(f"answer_{number}", f"Answer {number}", f"mdi6.numeric-{number}-box-outline", f"Alt+{number}",
           "Help/Message", f"Click button {number} of the message over the photo", "always", "message_bar.choose",
           number)
        for number in range(1, 5)
    ),
    _a("dismiss_message", "Dismiss message", "mdi6.message-off-outline", "Alt+0", "Help/Message",
       "Take the message over the photo away", "always", "message_bar.dismiss"),
    _a("about", "&About", "mdi6.information-outline", "", "Help", "Versions, model and device", "always",
       "help.show_about"),
)  # fmt: skip

ACTIONS: tuple[ActionSpec, ...] = (*_FILE, *_EDIT, *_VIEW, *_PERSON, *_PREDICT, *_TRAIN, *_HELP)


def build_actions(parent: QObject, canvas: QObject, controllers: Mapping[str, object]) -> dict[str, QAction]:
    """Makes a QAction of every row.

    Args:
        parent: Owns the actions.
        canvas: The widget that has the keys of `canvas_only` actions.
        controllers: What the handlers' first parts name.

    Returns:
        The actions by id, without icons (see `set_icons`) and keys (see app.keys).

    Raises:
        AttributeError, KeyError: a row names a handler that does not exist.
    """
    actions: dict[str, QAction] = {}
    for spec in ACTIONS:
        action = QAction(spec.text, parent)
        action.setObjectName(spec.id)
        action.setStatusTip(spec.tooltip)
        action.setCheckable(bool(spec.layer))
        if spec.canvas_only:
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(_runner(spec, controllers))
        (canvas if spec.canvas_only else parent).addAction(action)  # type: ignore[attr-defined]
        actions[spec.id] = action
    return actions


def set_icons(actions: Mapping[str, QAction], icon: Callable[[str], QIcon]) -> None:
    """Gives every action its icon; done once the window is up, since the icon fonts take a while to load."""
    for spec in ACTIONS:
        actions[spec.id].setIcon(icon(spec.icon))


def set_enabled(actions: Mapping[str, QAction], conditions: frozenset[str]) -> None:
    """Enables the actions whose condition holds."""
    for spec in ACTIONS:
        actions[spec.id].setEnabled(spec.enabled_when == "always" or spec.enabled_when in conditions)


def set_checked(actions: Mapping[str, QAction], layers: Mapping[str, bool]) -> None:
    """Shows the on/off state of the canvas layers."""
    for spec in ACTIONS:
        if spec.layer:
            actions[spec.id].setChecked(layers[spec.layer])


def _runner(spec: ActionSpec, controllers: Mapping[str, object]) -> Callable[[], None]:
    controller, method = spec.handler.split(".")
    handler = getattr(controllers[controller], method)

    def run(_checked: bool = False) -> None:
        if spec.argument is None:
            handler()
        else:
            handler(spec.argument)

    return run
