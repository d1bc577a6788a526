"""What legs and arms do: the habits that poses are put together from.

Angles are degrees, per bone (raise, out, turn) as in `kinematics.bone_rotations`.
"""

from collections.abc import Callable

import numpy as np

from nas.demo.people.anatomy import BONE, BONES

SIDES = ("left", "right")


class JointAngles:
    """Angles under construction."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.values = np.zeros((len(BONES), 3))

    def set(self, bone: str, *means: float, spread: float = 6.0) -> None:
        """(raise, out, turn) about their means; missing ones are zero."""
        values = np.zeros(3)
        values[: len(means)] = means
        self.values[BONE[bone]] = values + self.rng.normal(0.0, spread, 3)

    def leg(
        self, side: str, *, lift: float, out: float, turn: float, knee: float, spread: float = 6.0
    ) -> None:
        """One leg, its sole near the level of the ground where the ankle allows it."""
        self.set(f"{side}_thigh", lift, out, turn, spread=spread)
        self.set(f"{side}_shin", -abs(knee + self.rng.normal(0.0, spread)), spread=1.0)
        level = knee - lift
        self.set(f"{side}_foot", np.clip(level, -30, 25), 0, 3, spread=5.0)

    def arm(
        self, side: str, *, lift: float, out: float, turn: float, elbow: float, spread: float = 12.0
    ) -> None:
        """One arm; the shoulder girdle rises with it."""
        self.set(f"{side}_upper_arm", lift, out, turn, spread=spread)
        self.set(f"{side}_forearm", elbow + self.rng.normal(0.0, spread), 0, 0, spread=2.0)
        self.set(f"{side}_hand", 0, 0, 0, spread=12.0)
        upper = self.values[BONE[f"{side}_upper_arm"]]
        elevation = np.degrees(
            np.arccos(np.clip(np.cos(np.radians(upper[0])) * np.cos(np.radians(upper[1])), -1, 1))
        )
        self.set(f"{side}_shoulder", 0, 0.25 * max(0.0, elevation - 40), 0, spread=3.0)

    def trunk(self, *, bend: float, side: float, turn: float) -> None:
        """The spine bends forward, leans to the right and turns to the left, more below than above."""
        for bone, share in (("spine", 0.6), ("chest", 0.4)):
            self.set(bone, -bend * share, side * share, turn * share, spread=5.0 * share)


Legs = Callable[[JointAngles], None]


def _stand(a: JointAngles) -> None:
    wide = abs(a.rng.normal(4, 4))
    for side in SIDES:
        a.leg(side, lift=2, out=wide, turn=8, knee=5, spread=5)


def _contrapposto(a: JointAngles) -> None:
    first, second = _shuffled(a.rng)
    a.leg(first, lift=0, out=3, turn=8, knee=3)
    a.leg(second, lift=15, out=8, turn=18, knee=28)
    a.values[BONE["pelvis"], 1] += 6 if first == "left" else -6


def walk(a: JointAngles) -> None:
    phase, stride = a.rng.uniform(0, 2 * np.pi), a.rng.uniform(18, 34)
    for side, shift in zip(SIDES, (0.0, np.pi), strict=True):
        swing = np.sin(phase + shift)
        a.leg(
            side,
            lift=5 + stride * swing,
            out=2,
            turn=4,
            knee=8 + 45 * max(0.0, np.cos(phase + shift)),
            spread=5,
        )
        a.arm(side, lift=-0.9 * stride * swing, out=8, turn=-5, elbow=22 + 10 * max(0.0, -swing), spread=6)


def run(a: JointAngles) -> None:
    phase, stride = a.rng.uniform(0, 2 * np.pi), a.rng.uniform(38, 60)
    for side, shift in zip(SIDES, (0.0, np.pi), strict=True):
        swing = np.sin(phase + shift)
        a.leg(side, lift=15 + stride * swing, out=2, turn=2, knee=25 + 85 * max(0.0, np.cos(phase + shift)))
        a.arm(side, lift=-45 * swing, out=14, turn=-15, elbow=90, spread=9)
    a.trunk(bend=14, side=0, turn=0)


def _lunge(a: JointAngles) -> None:
    front, back = _shuffled(a.rng)
    a.leg(front, lift=a.rng.uniform(45, 85), out=6, turn=6, knee=a.rng.uniform(50, 95))
    a.leg(back, lift=-22, out=6, turn=6, knee=a.rng.uniform(10, 60))


def _wide(a: JointAngles) -> None:
    for side in SIDES:
        a.leg(side, lift=5, out=a.rng.uniform(14, 34), turn=18, knee=a.rng.uniform(0, 35))


def _side_step(a: JointAngles) -> None:
    first, second = _shuffled(a.rng)
    a.leg(first, lift=35, out=32, turn=30, knee=70)
    a.leg(second, lift=0, out=35, turn=10, knee=5)


def _kick(a: JointAngles) -> None:
    first, second = _shuffled(a.rng)
    a.leg(first, lift=a.rng.uniform(45, 105), out=a.rng.uniform(0, 45), turn=10, knee=a.rng.uniform(0, 50))
    a.leg(second, lift=0, out=4, turn=10, knee=10)


def _one_leg(a: JointAngles) -> None:
    first, second = _shuffled(a.rng)
    a.leg(first, lift=a.rng.uniform(40, 100), out=a.rng.uniform(0, 45), turn=30, knee=a.rng.uniform(70, 125))
    a.leg(second, lift=0, out=3, turn=8, knee=4)


def _jump(a: JointAngles) -> None:
    for side in SIDES:
        a.leg(
            side, lift=a.rng.uniform(-10, 75), out=a.rng.uniform(0, 35), turn=10, knee=a.rng.uniform(15, 110)
        )


def sit(a: JointAngles) -> None:
    for side in SIDES:
        a.leg(side, lift=86, out=a.rng.uniform(0, 22), turn=4, knee=a.rng.uniform(50, 100), spread=5)


def _sit_floor(a: JointAngles) -> None:
    for side in SIDES:
        lift = a.rng.uniform(85, 120)
        a.leg(side, lift=lift, out=a.rng.uniform(0, 30), turn=10, knee=2.2 * (lift - 85) + 5)


def _cross_legged(a: JointAngles) -> None:
    for side in SIDES:
        a.leg(side, lift=78, out=50, turn=55, knee=120, spread=5)


def _crouch(a: JointAngles) -> None:
    lift = a.rng.uniform(80, 125)
    for side in SIDES:
        a.leg(side, lift=lift, out=a.rng.uniform(2, 30), turn=14, knee=lift + 18)


def _half_squat(a: JointAngles) -> None:
    lift = a.rng.uniform(30, 75)
    for side in SIDES:
        a.leg(side, lift=lift, out=a.rng.uniform(4, 28), turn=16, knee=1.35 * lift)


def _kneel(a: JointAngles) -> None:
    first, second = _shuffled(a.rng)
    a.leg(first, lift=5, out=4, turn=0, knee=92)
    if a.rng.random() < 0.6:
        a.leg(second, lift=85, out=10, turn=8, knee=90)
    else:
        a.leg(second, lift=8, out=5, turn=0, knee=95)


def loose(a: JointAngles) -> None:
    """Legs of somebody who lies or hangs."""
    for side in SIDES:
        a.leg(side, lift=a.rng.uniform(-15, 70), out=a.rng.uniform(0, 30), turn=10, knee=a.rng.uniform(0, 90))


# lift, out, turn, elbow, and their spread
ARMS: dict[str, tuple[float, float, float, float, float]] = {
    "hang": (3, 9, 0, 16, 8),
    "up": (160, 12, 0, 25, 18),
    "bent up": (120, 20, 30, 90, 18),
    "out": (0, 82, 30, 20, 16),
    "half out": (15, 45, 10, 30, 18),
    "hands up": (0, 85, 80, 95, 12),
    "reach": (82, 6, 0, 22, 16),
    "low reach": (45, 8, 0, 30, 16),
    "carry": (18, 10, -12, 88, 12),
    "hip": (-18, 42, -75, 98, 7),
    "across": (32, 4, -52, 95, 9),
    "phone": (42, 22, -8, 142, 8),
    "behind head": (10, 112, 85, 128, 8),
    "behind back": (-32, 14, -60, 62, 9),
    "throw": (15, 92, 80, 75, 20),
    "wave": (20, 70, 75, 110, 18),
    "cross body": (75, -28, 0, 40, 10),
}
ARM_SHARES = {"hang": 4.0, "up": 2.2, "half out": 1.6, "reach": 1.4, "hip": 1.3}

LEGS: tuple[tuple[Legs, float], ...] = (
    (_stand, 5.0),
    (_contrapposto, 2.5),
    (walk, 4.0),
    (run, 3.0),
    (_lunge, 1.8),
    (_wide, 1.6),
    (_side_step, 1.0),
    (_kick, 1.2),
    (_one_leg, 1.0),
    (_jump, 1.6),
    (sit, 2.6),
    (_sit_floor, 0.7),
    (_cross_legged, 0.5),
    (_crouch, 1.4),
    (_half_squat, 1.3),
    (_kneel, 1.2),
)
AIRBORNE = (_jump, run)


def _shuffled(rng: np.random.Generator) -> tuple[str, str]:
    return ("left", "right") if rng.random() < 0.5 else ("right", "left")
