"""An articulated figure: proportions, pose, clothes; its COCO-17 joints and the capsules it is drawn with.

Body coordinates: the figure's height is 1; x points to the person's own left, y up, z where the person looks.
`view` turns them into a camera that looks at the person from any side: facing the camera (yaw 0), the
person's left is at the right of the image.
"""

from dataclasses import dataclass

import numpy as np

from msarcnn.synthetic_render import Capsule, Paint

Color = tuple[float, float, float]

_SKIN = ((245, 213, 188), (226, 184, 150), (196, 146, 110), (150, 102, 72), (104, 70, 50), (74, 50, 38))
_HAIR = ((28, 22, 20), (62, 42, 28), (112, 76, 42), (186, 146, 88), (150, 60, 34), (150, 150, 150))
_POSES = ("standing", "walking", "sitting", "reaching", "waving", "running", "akimbo")


@dataclass(frozen=True, slots=True)
class Limb:
    """Angles in radians of an arm or a leg.

    flex swings it forward, spread outward; bend is the elbow's or knee's, turn the forearm's own spread.
    """

    flex: float
    spread: float
    bend: float
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Limbs are (left, right); lean tilts the torso forward, look turns the head to the person's left."""

    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    lean: float
    tilt: float
    look: float
    nod: float
    seated: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """A posed figure in body coordinates, standing on y = 0.

    Attributes:
        joints: float64 [17, 3], COCO order.
        capsules: What is drawn.
        furniture: What it sits on; drawn, but not part of the person.
    """

    joints: np.ndarray
    capsules: tuple[Capsule, ...]
    furniture: tuple[Capsule, ...]


def random_pose(rng: np.random.Generator) -> Pose:
    """Draws a pose: standing, walking, running, sitting, reaching, waving, or hands on hips."""
    kind = _POSES[rng.integers(len(_POSES))]

    def wobble(amount: float) -> float:
        return float(rng.normal(0.0, amount))

    arms = [Limb(wobble(0.2), rng.uniform(0.06, 0.3), rng.uniform(0.05, 0.6), rng.uniform(-0.1, 0.2)) for _ in "lr"]
    legs = [Limb(wobble(0.08), rng.uniform(0.02, 0.16), rng.uniform(0.0, 0.15)) for _ in "lr"]
    lean = wobble(0.05)
    if kind in ("walking", "running"):
        stride = rng.uniform(0.3, 0.55) if kind == "walking" else rng.uniform(0.6, 0.9)
        ahead = 1 if rng.random() < 0.5 else -1
        bend = (0.15, rng.uniform(0.3, 0.7)) if kind == "walking" else (rng.uniform(0.3, 0.9), rng.uniform(0.9, 1.6))
        elbow = rng.uniform(0.1, 0.6) if kind == "walking" else rng.uniform(1.1, 1.7)
        for side in (0, 1):
            sign = ahead if side == 0 else -ahead
            legs[side] = Limb(sign * stride + 0.08, 0.03, bend[0] if sign > 0 else bend[1])
            arms[side] = Limb(-sign * stride * 0.8, 0.12, elbow, -0.1)
        lean = 0.06 if kind == "walking" else 0.2
    elif kind == "sitting":
        legs = [Limb(1.4 + wobble(0.1), rng.uniform(0.08, 0.3), 1.4 + wobble(0.2)) for _ in "lr"]
        arms = [Limb(rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.3), rng.uniform(0.5, 1.1), -0.2) for _ in "lr"]
        lean = rng.uniform(-0.12, 0.25)
    elif kind in ("reaching", "waving"):
        for side in rng.permutation(2)[: rng.integers(1, 3)]:
            if kind == "reaching":
                arms[side] = Limb(rng.uniform(1.2, 2.9), rng.uniform(0.0, 0.5), rng.uniform(0.0, 0.5))
            else:
                spread = rng.uniform(1.3, 2.2)
                arms[side] = Limb(0.1, spread, 0.2, spread + rng.uniform(0.4, 1.2))
    elif kind == "akimbo":
        arms = [Limb(-0.15, 0.75, 0.35, -0.8) for _ in "lr"]
    return Pose(
        (arms[0], arms[1]),
        (legs[0], legs[1]),
        lean,
        tilt=wobble(0.06),
        look=wobble(0.35),
        nod=wobble(0.15),
        seated=kind == "sitting",
    )


def _direction(flex: float, spread: float, side: int) -> np.ndarray:
    """Unit vector of a limb that hangs down at zero; side is +1 left, -1 right."""
    return np.array([side * np.sin(spread), -np.cos(spread) * np.cos(flex), np.cos(spread) * np.sin(flex)])


def _rotation(about_x: float, about_y: float, about_z: float) -> np.ndarray:
    cx, sx, cy, sy, cz, sz = (f(a) for a in (about_x, about_y, about_z) for f in (np.cos, np.sin))
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return ry @ rx @ rz


def view(points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Turns body coordinates [..., 3] into camera directions: x right, y down, z towards the viewer.

    yaw 0 faces the camera, pi shows the back; pitch > 0 looks from above.
    """
    x = points[..., 0] * np.cos(yaw) + points[..., 2] * np.sin(yaw)
    near = points[..., 2] * np.cos(yaw) - points[..., 0] * np.sin(yaw)
    up = points[..., 1] * np.cos(pitch) - near * np.sin(pitch)
    return np.stack([x, -up, near * np.cos(pitch) + points[..., 1] * np.sin(pitch)], axis=-1)


@dataclass(frozen=True, slots=True)
class _Outfit:
    skin: Paint
    hair: Paint
    shirt: Paint
    trousers: Paint
    shoes: Paint
    long_sleeves: bool
    long_legs: bool
    long_hair: bool
    bald: bool


def _vary(rng: np.random.Generator, color: tuple[int, ...], amount: float) -> Color:
    r, g, b = np.clip(np.asarray(color) + rng.normal(0.0, amount, 3), 0, 255).tolist()
    return r, g, b


def _cloth(rng: np.random.Generator) -> Color:
    r, g, b = np.clip(rng.uniform(25, 225) + rng.uniform(-70, 70, 3), 8, 245).tolist()
    return r, g, b


def _random_outfit(rng: np.random.Generator) -> _Outfit:
    striped = rng.random() < 0.35
    return _Outfit(
        skin=Paint(_vary(rng, _SKIN[rng.integers(len(_SKIN))], 6)),
        hair=Paint(_vary(rng, _HAIR[rng.integers(len(_HAIR))], 8)),
        shirt=Paint(_cloth(rng), _cloth(rng) if striped else None, float(rng.integers(3, 8))),
        trousers=Paint(_cloth(rng)),
        shoes=Paint(_vary(rng, (60, 55, 55), 40)),
        long_sleeves=rng.random() < 0.5,
        long_legs=rng.random() < 0.7,
        long_hair=rng.random() < 0.4,
        bald=rng.random() < 0.08,
    )


def random_figure(rng: np.random.Generator) -> Figure:
    """Draws a figure with its own proportions, clothes and pose."""
    pose, outfit = random_pose(rng), _random_outfit(rng)
    build = float(rng.uniform(0.85, 1.25))
    shoulder = float(rng.uniform(0.1, 0.125)) * (0.7 + 0.3 * build)
    leg = float(rng.uniform(0.93, 1.05))
    hip_half = float(rng.uniform(0.062, 0.078)) * (0.7 + 0.3 * build)
    torso = _rotation(pose.lean, 0.0, pose.tilt)
    joints = np.zeros((17, 3))
    neck = torso @ np.array([0.0, 0.3, 0.0])
    head = neck + _rotation(pose.lean * 0.5, 0.0, pose.tilt) @ np.array([0.0, 0.095, 0.018])
    capsules: list[Capsule] = []
    for number, side in enumerate((1, -1)):
        joints[5 + number] = torso @ np.array([side * shoulder, 0.285, 0.0])
        joints[11 + number] = np.array([side * hip_half, 0.0, 0.0])
        _pose_arm(joints, number, side, pose.arms[number])
        _pose_leg(joints, number, side, pose.legs[number], leg)
        capsules += _arm(joints, number, outfit, build)
        capsules += _leg(joints, number, outfit, build, pose.seated)
    capsules += _torso(joints, outfit, build)
    turn = _rotation(pose.nod, pose.look, pose.tilt)
    capsules += [Capsule(neck - np.array([0.0, 0.03, 0.0]), head, 0.034 * build, 0.034 * build, outfit.skin)]
    capsules += _head(joints, head, turn, outfit)
    ground = joints[15:17, 1].min() - 0.045
    seat = _seat(joints, ground, rng) if pose.seated else []
    offset = np.array([0.0, -ground, 0.0])
    return Figure(joints + offset, _moved(capsules, offset), _moved(seat, offset))


def _moved(capsules: list[Capsule], offset: np.ndarray) -> tuple[Capsule, ...]:
    return tuple(Capsule(c.start + offset, c.end + offset, c.start_radius, c.end_radius, c.paint) for c in capsules)


def _pose_arm(joints: np.ndarray, number: int, side: int, arm: Limb) -> None:
    elbow = joints[5 + number] + 0.16 * _direction(arm.flex, arm.spread, side)
    joints[7 + number] = elbow
    joints[9 + number] = elbow + 0.145 * _direction(arm.flex + arm.bend, arm.turn, side)


def _pose_leg(joints: np.ndarray, number: int, side: int, leg: Limb, length: float) -> None:
    knee = joints[11 + number] + 0.245 * length * _direction(leg.flex, leg.spread, side)
    joints[13 + number] = knee
    joints[15 + number] = knee + 0.24 * length * _direction(leg.flex - leg.bend, leg.spread * 0.3, side)


def _arm(joints: np.ndarray, number: int, outfit: _Outfit, build: float) -> list[Capsule]:
    shoulder, elbow, wrist = joints[5 + number], joints[7 + number], joints[9 + number]
    sleeve = Paint(outfit.shirt.color)
    lower = sleeve if outfit.long_sleeves else outfit.skin
    hand = wrist + (wrist - elbow) * 0.28
    middle = shoulder + 0.6 * (elbow - shoulder)
    return [
        Capsule(shoulder, middle, 0.04 * build, 0.035 * build, sleeve),
        Capsule(middle, elbow, 0.033 * build, 0.028 * build, lower),
        Capsule(elbow, wrist, 0.028 * build, 0.021 * build, lower),
        Capsule(wrist, hand, 0.019, 0.022, outfit.skin),
    ]


def _leg(joints: np.ndarray, number: int, outfit: _Outfit, build: float, seated: bool) -> list[Capsule]:
    hip, knee, ankle = joints[11 + number], joints[13 + number], joints[15 + number]
    lower = outfit.trousers if outfit.long_legs else outfit.skin
    heel = ankle + np.array([0.0, -0.025, -0.015])
    shin = (ankle - knee) / np.linalg.norm(ankle - knee)
    # A foot stands at right angles to its shin, but for a seated person's, flat on the ground.
    forward = np.array([0.0, 0.0, 1.0]) if seated else np.array([0.0, shin[2] * 0.9, -shin[1]])
    toe = heel + 0.1 * forward / np.linalg.norm(forward)
    return [
        Capsule(hip, knee, 0.062 * build, 0.043 * build, outfit.trousers),
        Capsule(knee, ankle, 0.041 * build, 0.027 * build, lower),
        Capsule(heel, toe, 0.026, 0.021, outfit.shoes),
    ]


def _torso(joints: np.ndarray, outfit: _Outfit, build: float) -> list[Capsule]:
    left, right = joints[5], joints[6]
    hip_left, hip_right = joints[11], joints[12]
    capsules = []
    shirt = outfit.shirt
    columns = 7
    for column in range(columns):
        u = 0.1 + 0.8 * column / (columns - 1)
        top = left + u * (right - left)
        bottom = hip_left + u * (hip_right - hip_left)
        edge = abs(2 * u - 1)
        top = top - np.array([0.0, 0.018 + 0.014 * edge, 0.0])
        waist = bottom + 0.4 * (top - bottom)
        waist = waist + 0.14 * ((hip_left + hip_right + left + right) / 4 - waist) * [1.0, 0.0, 1.0]
        radius = (0.058 - 0.012 * edge) * build
        upper = Paint(shirt.color, shirt.second, shirt.bands, (0.0, 0.6))
        lower = Paint(shirt.color, shirt.second, shirt.bands, (0.6, 1.0))
        capsules.append(Capsule(top, waist, radius, radius * 0.93, upper))
        capsules.append(Capsule(waist, bottom + np.array([0.0, 0.02, 0.0]), radius * 0.93, radius, lower))
        capsules.append(Capsule(bottom, bottom - np.array([0.0, 0.02, 0.0]), radius * 1.06, radius, outfit.trousers))
    return capsules


def _head(joints: np.ndarray, center: np.ndarray, turn: np.ndarray, outfit: _Outfit) -> list[Capsule]:
    """Adds the five face joints and returns skull, hair, ears and features."""

    def at(x: float, y: float, z: float) -> np.ndarray:
        return center + turn @ np.array([x, y, z])

    joints[0] = at(0.0, -0.012, 0.074)
    joints[1], joints[2] = at(0.027, 0.014, 0.06), at(-0.027, 0.014, 0.06)
    joints[3], joints[4] = at(0.06, 0.0, -0.002), at(-0.06, 0.0, -0.002)
    white, dark, lips = Paint((240, 240, 238)), Paint((22, 18, 20)), Paint((150, 60, 60))
    skin, hair = outfit.skin, outfit.hair
    parts = [
        Capsule(at(0, 0.024, -0.006), at(0, -0.03, 0.008), 0.06, 0.046, skin),
        Capsule(at(0, 0.006, 0.06), joints[0], 0.008, 0.013, skin),
        Capsule(at(-0.017, -0.042, 0.05), at(0.017, -0.042, 0.05), 0.0055, 0.0055, lips),
    ]
    for side in (1, -1):
        parts.append(Capsule(at(side * 0.06, 0.008, -0.004), at(side * 0.059, -0.014, 0), 0.015, 0.011, skin))
        parts.append(Capsule(at(side * 0.033, 0.014, 0.05), at(side * 0.022, 0.014, 0.053), 0.0095, 0.0095, white))
        parts.append(Capsule(at(side * 0.027, 0.014, 0.0575), at(side * 0.027, 0.014, 0.058), 0.0065, 0.0065, dark))
        parts.append(Capsule(at(side * 0.038, 0.031, 0.05), at(side * 0.017, 0.033, 0.055), 0.0045, 0.0045, hair))
    if not outfit.bald:
        parts.append(Capsule(at(0, 0.038, -0.014), at(0, 0.0, -0.026), 0.062, 0.054, hair))
    if outfit.long_hair and not outfit.bald:
        parts.append(Capsule(at(0, 0.0, -0.032), at(0, -0.11, -0.04), 0.054, 0.04, hair))
    return parts


def _seat(joints: np.ndarray, ground: float, rng: np.random.Generator) -> list[Capsule]:
    paint = Paint(_cloth(rng))
    height = joints[11:13, 1].mean() - 0.1
    seat = [
        Capsule(np.array([-x, height, z]), np.array([x, height, z]), 0.035, 0.035, paint)
        for x, z in ((0.13, -0.07), (0.13, 0.0), (0.13, 0.07))
    ]
    for x in (-0.12, 0.12):
        for z in (-0.07, 0.07):
            seat.append(Capsule(np.array([x, height, z]), np.array([x, ground + 0.01, z]), 0.014, 0.012, paint))
    return seat
