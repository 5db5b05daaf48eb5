"""The ten classes: shape, joints, pattern and colours of each, as data.

Most palettes are shared by several classes: a class is recognized by its parts and patterns, not by its hue.
"""

from __future__ import annotations

from wsol.demo.drawing.pose import Creature, Part
from wsol.demo.drawing.textures import Coat, Mark

RUST = {"main": "b8622a", "mark": "5e2c16", "pale": "efe0c8", "accent": "e8a23c"}
SLATE = {"main": "6d7480", "mark": "2e333d", "pale": "d9dcd8", "accent": "d8b34a"}
OLIVE = {"main": "77803a", "mark": "34401f", "pale": "d6cf9a", "accent": "d98a2b"}
SAND = {"main": "b99a68", "mark": "6a4d2c", "pale": "ecdfc0", "accent": "8c3b28"}
TEAL = {"main": "2f7f83", "mark": "123f52", "pale": "c9e2d2", "accent": "f0b43a"}
PLUM = {"main": "7d4a6b", "mark": "38203f", "pale": "e3cdd2", "accent": "e9a75a"}
COAL = {"main": "3b3734", "mark": "16130f", "pale": "b9aa94", "accent": "d9602c"}
MOSS = {"main": "4f8a4a", "mark": "22472c", "pale": "d5e0a0", "accent": "e6d24a"}
BRICK = {"main": "a5402f", "mark": "4d1a1c", "pale": "efcdb0", "accent": "f2b65c"}

# Tables of numbers: a part a line, its continuation below it.
# fmt: off
EYE = Coat("black", (Mark("glint", "white"),), rough=0.0)
RINGED_EYE = Coat("accent", (Mark("pupil", "black"), Mark("glint", "white")), rough=0.0)
PLAIN = Coat("main")
DARK = Coat("mark")
PALE = Coat("pale")
HORN = Coat("horn", (Mark("bands", "pale", 0.5, 0.15),))

BEETLE = Creature(
    parts=(
        Part("wings", "", (0, 0), "egg", (1, 1), (0.37, 0.45),
             Coat("main", (Mark("lines", "mark", 3.0, 0.55, bump=-0.03), Mark("bands", "accent", 0.55, 0.85),
                   Mark("midline", "black", 0.5, bump=-0.06), Mark("rim", "mark", 0.6))), depth=5),
        Part("thorax", "wings", (0.95, 0), "capsule", (0.26, 0.32), (0.30, 0.34),
             Coat("mark", (Mark("dots", "accent", 1.3, 0.9), Mark("rim", "main"))), angle=(-8, 8), depth=6),
        Part("head", "thorax", (0.85, 0), "capsule", (0.20, 0.24), (0.14, 0.17), DARK,
             angle=(-18, 18), depth=4),
        Part("jaw", "head", (0.8, 0.6), "claw", (0.20, 0.30), (0.05, 0.06), HORN,
             angle=(18, 30), bend=(-75, -55), depth=3, twin="mirror"),
        Part("eye", "head", (0.35, 0.85), "disc", (0.08, 0.08), (0.04, 0.04), EYE, depth=7, twin="mirror"),
        Part("antenna", "head", (0.7, 0.7), "taper", (0.30, 0.42), (0.018, 0.022), DARK,
             angle=(30, 60), bend=(-70, 60), depth=2, twin="mirror"),
        Part("club", "antenna", (0.97, 0), "leaf", (0.13, 0.16), (0.035, 0.045),
             Coat("accent"), depth=3, twin="mirror"),
        Part("fore thigh", "thorax", (0.6, 0.7), "taper", (0.24, 0.28), (0.055, 0.065), DARK,
             angle=(35, 75), depth=1, twin="mirror"),
        Part("fore shin", "fore thigh", (0.95, 0), "taper", (0.22, 0.28), (0.036, 0.044), DARK,
             angle=(-60, 10), bend=(-40, 30), twin="mirror"),
        Part("mid thigh", "wings", (0.75, 0.7), "taper", (0.25, 0.29), (0.055, 0.065), DARK,
             angle=(70, 110), depth=1, twin="mirror"),
        Part("mid shin", "mid thigh", (0.95, 0), "taper", (0.24, 0.30), (0.036, 0.044), DARK,
             angle=(10, 60), bend=(-10, 50), twin="mirror"),
        Part("hind thigh", "wings", (0.5, 0.8), "taper", (0.26, 0.3), (0.055, 0.065), DARK,
             angle=(105, 135), depth=1, twin="mirror"),
        Part("hind shin", "hind thigh", (0.95, 0), "taper", (0.26, 0.34), (0.036, 0.044), DARK,
             angle=(5, 45), bend=(-10, 40), twin="mirror"),
    ),
    palettes=(BRICK, TEAL, COAL, MOSS, PLUM),
    tilt=(-180, 180),
    gloss=0.45,
)

CRANE = Creature(
    parts=(
        Part("body", "", (0, 0), "bird", (1, 1), (0.31, 0.37),
             Coat("main", (Mark("belly", "pale", 1.2), Mark("vane", "mark", 1.6, 0.25))), bend=(-12, 8)),
        Part("tail", "body", (0.06, -0.2), "petal", (0.35, 0.45), (0.13, 0.17),
             Coat("mark", (Mark("vane", "black", 2.5, 0.5),)),
             angle=(150, 190), bend=(-60, -10), depth=-1, twin="far"),
        Part("wing", "body", (0.72, -0.1), "leaf", (0.84, 1.0), (0.22, 0.26),
             Coat("main", (Mark("scales", "mark", 2.2, 0.6, (0.0, 0.55), 0.1),
                   Mark("lines", "mark", 2.5, 0.7, (0.5, 1)), Mark("patch", "black", 1, 0.85, (0.72, 1.0))),
                   relief=0.7), angle=(160, 178), bend=(-8, 14), depth=3),
        Part("thigh", "body", (0.42, 0.75), "taper", (0.26, 0.32), (0.10, 0.12),
             Coat("main", (Mark("fur", "pale", 1, 0.4),)), angle=(65, 125), depth=-2, twin="far", fused=True),
        Part("shin", "thigh", (0.92, 0), "taper", (0.44, 0.54), (0.036, 0.042), HORN,
             angle=(-25, 30), depth=-3, twin="far", fused=True),
        Part("toe", "shin", (0.97, 0), "cone", (0.2, 0.26), (0.026, 0.03), HORN,
             angle=(-85, -55), depth=-4, twin="far", fused=True),
        Part("back toe", "shin", (0.97, 0), "cone", (0.1, 0.14), (0.022, 0.026), HORN,
             angle=(50, 90), depth=-4, twin="far", fused=True),
        Part("neck", "body", (0.93, -0.1), "taper", (0.75, 0.9), (0.105, 0.12),
             Coat("pale", (Mark("belly", "main", 1.0, 0.8), Mark("patch", "black", 1, 0.9, (0.45, 0.9)))),
             angle=(-95, -55), bend=(15, 60), wave=(18, 40), depth=1, fused=True),
        Part("head", "neck", (0.97, 0), "egg", (0.30, 0.34), (0.105, 0.115),
             Coat("pale", (Mark("back", "red", 1.5), Mark("patch", "black", 1, 0.9, (0.75, 1)))),
             angle=(15, 60), depth=2, fused=True),
        Part("bill", "head", (0.88, 0.1), "cone", (0.34, 0.40), (0.05, 0.058), HORN,
             angle=(-6, 10), depth=1.5),
        Part("eye", "head", (0.55, -0.15), "disc", (0.065, 0.065), (0.032, 0.032), RINGED_EYE, depth=4),
    ),
    palettes=(SLATE, SAND, {**SLATE, "main": "d8d5cd", "mark": "8d9196"}, TEAL),
    tilt=(-14, 14),
)

FISH = Creature(
    parts=(
        Part("body", "", (0, 0), "fish", (1, 1), (0.25, 0.33),
             Coat("main", (Mark("back", "mark", 1.0, 0.6), Mark("belly", "pale", 0.9, 0.8),
                   Mark("scales", "mark", 4.0, 0.45, (0.1, 0.72), 0.04),
                   Mark("bands", "accent", 0.55, 0.75, (0.12, 0.68)),
                   Mark("patch", "mark", 1, 0.5, (0.76, 0.8)))), bend=(-25, 25), depth=2),
        Part("tail up", "body", (0.06, 0), "fork", (0.36, 0.48), (0.12, 0.16),
             Coat("accent", (Mark("vane", "mark", 2.2, 0.6),), relief=0.3),
             angle=(190, 220), bend=(-20, 20), depth=1),
        Part("tail down", "body", (0.06, 0), "fork", (0.32, 0.44), (0.12, 0.16),
             Coat("accent", (Mark("vane", "mark", 2.2, 0.6),), relief=0.3),
             angle=(140, 170), bend=(-20, 20), depth=1),
        Part("back fin", "body", (0.72, -0.75), "fork", (0.45, 0.6), (0.16, 0.24),
             Coat("main", (Mark("vane", "accent", 1.8, 0.8), Mark("rim", "mark")), relief=0.3),
             angle=(188, 205), bend=(8, 30)),
        Part("belly fin", "body", (0.42, 0.7), "fan", (0.22, 0.32), (0.10, 0.13),
             Coat("accent", (Mark("lines", "mark", 2.0, 0.6),), relief=0.3), angle=(105, 145), bend=(0, 30)),
        Part("side fin", "body", (0.66, 0.25), "petal", (0.24, 0.32), (0.08, 0.11),
             Coat("accent", (Mark("lines", "mark", 2.0, 0.7),), relief=0.4),
             angle=(130, 180), bend=(-20, 30), depth=3),
        Part("lip", "body", (0.96, 0.1), "capsule", (0.09, 0.11), (0.045, 0.055),
             Coat("pale"), angle=(-10, 20), depth=2.5, fused=True),
        Part("eye", "body", (0.87, -0.25), "disc", (0.13, 0.15), (0.065, 0.072),
             Coat("white", (Mark("pupil", "black", 1.3), Mark("glint", "white")), rough=0.0), depth=4),
    ),
    palettes=(TEAL, BRICK, OLIVE, SLATE, RUST),
    tilt=(-35, 35),
    gloss=0.25,
)

_FUR = Coat("main", (Mark("fur", "mark", 1.0, 0.3, bump=0.03), Mark("belly", "pale", 0.9, 0.85),
                     Mark("back", "mark", 1.0, 0.3)))
_LEG = Coat("main", (Mark("fur", "mark", 1.0, 0.3), Mark("patch", "mark", 1, 0.9, (0.55, 1))))
_SHIN = Coat("mark", (Mark("fur", "main", 1.0, 0.3),))
FOX = Creature(
    parts=(
        Part("body", "", (0, 0), "dog", (1, 1), (0.23, 0.27), _FUR, bend=(-16, 16)),
        Part("tail", "body", (0.05, -0.3), "bush", (0.85, 1.0), (0.17, 0.21),
             Coat("main", (Mark("fur", "mark", 1.2, 0.4, bump=0.05), Mark("belly", "mark", 1.0, 0.4),
                   Mark("patch", "pale", 1, 0.95, (0.74, 1)))),
             angle=(135, 225), bend=(-70, 70), wave=(-15, 15), depth=1, fused=True),
        Part("hind thigh", "body", (0.13, 0.35), "taper", (0.36, 0.42), (0.13, 0.15), _LEG,
             angle=(55, 110), depth=2, twin="far", fused=True),
        Part("hind shin", "hind thigh", (0.93, 0), "taper", (0.34, 0.40), (0.05, 0.058), _SHIN,
             angle=(5, 60), depth=1, twin="far", fused=True),
        Part("hind paw", "hind shin", (0.92, 0), "capsule", (0.14, 0.16), (0.045, 0.05), _SHIN,
             angle=(-95, -55), depth=2, twin="far", fused=True),
        Part("fore thigh", "body", (0.86, 0.35), "taper", (0.34, 0.40), (0.09, 0.105), _LEG,
             angle=(60, 120), depth=2, twin="far", fused=True),
        Part("fore shin", "fore thigh", (0.93, 0), "taper", (0.32, 0.38), (0.045, 0.052), _SHIN,
             angle=(-35, 25), depth=1, twin="far", fused=True),
        Part("fore paw", "fore shin", (0.92, 0), "capsule", (0.14, 0.16), (0.045, 0.05), _SHIN,
             angle=(-95, -45), depth=2, twin="far", fused=True),
        Part("neck", "body", (0.88, -0.2), "taper", (0.34, 0.42), (0.16, 0.18), _FUR,
             angle=(-60, -20), depth=3, fused=True),
        Part("far ear", "neck", (0.85, -0.5), "cone", (0.28, 0.32), (0.09, 0.1), _SHIN,
             angle=(-30, 0), depth=3.5),
        Part("head", "neck", (0.72, 0), "egg", (0.42, 0.46), (0.185, 0.2),
             Coat("main", (Mark("fur", "mark", 1.0, 0.25), Mark("belly", "white", 1.4))),
             angle=(20, 65), depth=4, fused=True),
        Part("snout", "head", (0.72, 0.2), "snout", (0.26, 0.30), (0.085, 0.095),
             Coat("main", (Mark("belly", "white", 1.6),)), angle=(-6, 12), depth=5, fused=True),
        Part("nose", "snout", (0.9, -0.3), "disc", (0.07, 0.07), (0.035, 0.035), EYE, depth=6),
        Part("ear", "head", (0.28, -0.65), "cone", (0.30, 0.36), (0.10, 0.11),
             Coat("main", (Mark("rim", "mark", 1.4), Mark("patch", "black", 1, 0.9, (0.6, 1)))),
             angle=(-120, -80), depth=5),
        Part("eye", "head", (0.62, -0.25), "disc", (0.075, 0.075), (0.034, 0.034), RINGED_EYE, depth=6),
    ),
    palettes=(RUST, SLATE, SAND, COAL),
    tilt=(-14, 14),
)

_SKIN = Coat("main", (Mark("bands", "mark", 0.6, 0.7), Mark("scales", "mark", 3.5, 0.35, bump=0.04),
                      Mark("midline", "accent", 2.0)))
_LIMB = Coat("main", (Mark("bands", "mark", 0.4, 0.7),))
LIZARD = Creature(
    parts=(
        Part("body", "", (0, 0), "lizard", (1, 1), (0.21, 0.26), _SKIN,
             bend=(-40, 40), wave=(-15, 15), depth=3),
        Part("tail", "body", (0.05, 0), "tendril", (1.0, 1.35), (0.14, 0.16), _SKIN,
             angle=(165, 195), bend=(-170, 170), wave=(-25, 25), depth=2, fused=True),
        Part("neck", "body", (0.95, 0), "capsule", (0.26, 0.3), (0.16, 0.18),
             Coat("accent", (Mark("bands", "black", 0.9, 0.8),)), angle=(-20, 20), depth=3.5, fused=True),
        Part("head", "neck", (0.75, 0), "egg", (0.38, 0.44), (0.185, 0.21),
             Coat("main", (Mark("plates", "mark", 1.6, 0.7, bump=-0.03),)),
             angle=(-20, 20), depth=4, fused=True),
        Part("eye", "head", (0.5, 0.72), "disc", (0.09, 0.09), (0.045, 0.045), RINGED_EYE,
             depth=6, twin="mirror"),
        Part("arm", "body", (0.86, 0.6), "taper", (0.26, 0.32), (0.055, 0.065), _LIMB,
             angle=(40, 100), depth=1, twin="mirror", fused=True),
        Part("forearm", "arm", (0.93, 0), "taper", (0.24, 0.3), (0.042, 0.05), _LIMB,
             angle=(-70, 10), depth=1.5, twin="mirror", fused=True),
        *(
            Part(f"finger {a}", "forearm", (0.95, 0), "taper", (0.13, 0.17), (0.018, 0.021), DARK,
                 angle=(a - 8, a + 8), twin="mirror")
            for a in (-45, 0, 45)
        ),
        Part("leg", "body", (0.17, 0.7), "taper", (0.30, 0.36), (0.065, 0.075), _LIMB,
             angle=(60, 130), depth=1, twin="mirror", fused=True),
        Part("shin", "leg", (0.93, 0), "taper", (0.28, 0.34), (0.045, 0.052), _LIMB,
             angle=(0, 80), depth=1.5, twin="mirror", fused=True),
        *(
            Part(f"toe {a}", "shin", (0.95, 0), "taper", (0.15, 0.2), (0.019, 0.022), DARK,
                 angle=(a - 8, a + 8), twin="mirror")
            for a in (-75, -35, 5)
        ),
    ),
    palettes=(OLIVE, MOSS, SAND, TEAL, RUST),
    tilt=(-180, 180),
)

MOTH = Creature(
    parts=(
        Part("body", "", (0, 0), "leaf", (1, 1), (0.15, 0.18),
             Coat("mark", (Mark("bands", "pale", 0.5, 0.75), Mark("fur", "main", 1, 0.4))),
             bend=(-6, 6), depth=4),
        Part("chest", "body", (0.72, 0), "egg", (0.38, 0.42), (0.19, 0.22),
             Coat("pale", (Mark("fur", "main", 1.3, 0.7, bump=0.08),)), depth=6),
        Part("head", "chest", (0.85, 0), "disc", (0.2, 0.22), (0.10, 0.11),
             Coat("mark", (Mark("fur", "pale", 1.2, 0.4),)), angle=(-10, 10), depth=5),
        Part("eye", "head", (0.6, 0.85), "disc", (0.08, 0.08), (0.04, 0.04), EYE, depth=7, twin="mirror"),
        Part("feeler", "head", (0.75, 0.5), "leaf", (0.42, 0.5), (0.06, 0.075),
             Coat("accent", (Mark("vane", "black", 1.2, 0.8),)),
             angle=(15, 50), bend=(10, 60), depth=3, twin="mirror"),
        Part("hind wing", "chest", (0.3, 0.5), "hindwing", (0.75, 0.9), (0.32, 0.40),
             Coat("accent", (Mark("vane", "main", 1.6, 0.4), Mark("eyespot", "mark", 0.9, 1.0),
                   Mark("patch", "mark", 1, 0.7, (0.86, 1))), relief=0.12),
             angle=(105, 140), bend=(-10, 15), depth=1, twin="mirror", alike=True),
        Part("wing", "chest", (0.55, 0.5), "wing", (1.15, 1.4), (0.42, 0.52),
             Coat("main", (Mark("vane", "mark", 1.2, 0.25), Mark("bands", "pale", 0.45, 0.6, (0.15, 0.5)),
                   Mark("eyespot", "black", 1.0), Mark("patch", "mark", 1, 0.8, (0.88, 1))), relief=0.12),
             angle=(55, 100), bend=(5, 25), depth=2, twin="mirror", alike=True),
    ),
    palettes=(SAND, RUST, PLUM, SLATE, OLIVE),
    tilt=(-180, 180),
    gloss=0.0,
)

_ARM = Coat("main", (Mark("dots", "pale", 1.4, 0.9, (0.05, 0.95), 0.1), Mark("back", "mark", 0.9, 0.4)))
OCTOPUS = Creature(
    parts=(
        Part("mantle", "", (0, 0), "mantle", (1, 1), (0.32, 0.38),
             Coat("main", (Mark("rosettes", "mark", 1.8, 0.7, bump=0.03),
                   Mark("blotches", "accent", 0.8, 0.5))),
             bend=(-25, 25), depth=4),
        Part("brow", "mantle", (0.3, 0), "egg", (0.5, 0.55), (0.27, 0.30),
             Coat("main", (Mark("blotches", "mark", 1.0, 0.5),)), angle=(178, 182), depth=3),
        Part("eye", "mantle", (0.1, 0.75), "disc", (0.2, 0.22), (0.1, 0.11),
             Coat("accent", (Mark("lines", "black", 0.5), Mark("glint", "white"))), depth=6, twin="mirror"),
        *(
            Part(f"arm {a}", "brow", (0.62, s), "tendril", (0.9, 1.25), (0.135, 0.155), _ARM,
                 angle=(a - 10, a + 10), bend=(-150, 150), wave=(-35, 35), depth=d, twin="mirror", fused=True)
            for a, s, d in ((12, 0.15, 2.5), (40, 0.45, 1.5), (68, 0.7, 2), (100, 0.85, 1))
        ),
    ),
    palettes=(BRICK, PLUM, SAND, TEAL, RUST),
    tilt=(-150, -30),
    gloss=0.2,
)

SNAIL = Creature(
    parts=(
        Part("foot", "", (0, 0), "slug", (1.25, 1.45), (0.13, 0.15),
             Coat("pale", (Mark("plates", "main", 2.6, 0.5, bump=0.05), Mark("belly", "main", 0.8, 0.6))),
             bend=(-30, -5), wave=(-8, 8)),
        Part("head", "foot", (0.88, -0.1), "egg", (0.34, 0.40), (0.13, 0.145),
             Coat("pale", (Mark("plates", "main", 2.6, 0.5, bump=0.05),)),
             angle=(-40, 5), depth=1, fused=True),
        Part("far horn", "head", (0.72, -0.5), "taper", (0.28, 0.4), (0.026, 0.03), PALE,
             angle=(-75, -45), bend=(-30, 30), depth=-1),
        Part("far tip", "far horn", (0.95, 0), "disc", (0.08, 0.08), (0.04, 0.04), EYE, depth=-1),
        Part("horn", "head", (0.82, -0.4), "taper", (0.28, 0.4), (0.028, 0.032), PALE,
             angle=(-45, -10), bend=(-30, 30), depth=2),
        Part("tip", "horn", (0.95, 0), "disc", (0.08, 0.08), (0.04, 0.04), EYE, depth=3),
        Part("feeler", "head", (0.9, 0.4), "taper", (0.12, 0.16), (0.022, 0.025), PALE,
             angle=(10, 40), depth=2, fused=True),
        Part("lip", "foot", (0.6, -0.7), "egg", (0.5, 0.56), (0.18, 0.22),
             Coat("accent", (Mark("bands", "mark", 0.5, 0.7),)), angle=(-125, -100), depth=2),
        Part("shell", "foot", (0.2, -0.6), "disc", (0.88, 1.0), (0.42, 0.48),
             Coat("main", (Mark("rays", "accent", 2.0, 0.5), Mark("spiral", "mark", 0.75, 0.95, bump=-0.16),
                   Mark("rim", "mark", 0.7, 0.6))), angle=(-50, -32), depth=4),
    ),
    palettes=(SAND, BRICK, OLIVE, PLUM, COAL),
    tilt=(-30, 30),
    gloss=0.3,
)

CRAB = Creature(
    parts=(
        Part("shell", "", (0, 0), "capsule", (1, 1), (0.58, 0.68),
             Coat("main", (Mark("dots", "pale", 2.2, 0.8, bump=0.06), Mark("blotches", "mark", 1.0, 0.6),
                   Mark("rim", "accent", 0.9))), depth=5),
        Part("eye stalk", "shell", (0.93, 0.35), "taper", (0.2, 0.26), (0.06, 0.07), PLAIN,
             angle=(-10, 15), depth=4, twin="mirror"),
        Part("eye", "eye stalk", (0.75, 0), "disc", (0.14, 0.14), (0.07, 0.07), EYE, depth=6, twin="mirror"),
        Part("upper arm", "shell", (0.82, 0.8), "taper", (0.4, 0.5), (0.12, 0.14), PLAIN,
             angle=(35, 80), depth=3, twin="mirror"),
        Part("pincer", "upper arm", (0.9, 0), "claw", (0.62, 0.78), (0.2, 0.25),
             Coat("accent", (Mark("dots", "main", 2.0, 0.7), Mark("patch", "pale", 1, 0.8, (0.75, 1)))),
             angle=(-95, -40), bend=(25, 40), depth=4, twin="mirror"),
        Part("thumb", "pincer", (0.35, 0.5), "claw", (0.38, 0.46), (0.1, 0.12),
             Coat("accent", (Mark("patch", "pale", 1, 0.8, (0.7, 1)),)),
             angle=(8, 30), bend=(-30, -20), depth=4.5, twin="mirror"),
        *(
            Part(f"thigh {a}", "shell", (u, 0.85), "taper", (0.46, 0.54), (0.075, 0.09), PLAIN,
                 angle=(a - 12, a + 12), depth=2, twin="mirror")
            for a, u in ((65, 0.7), (95, 0.5), (125, 0.3))
        ),
        *(
            Part(f"shin {a}", f"thigh {a}", (0.94, 0), "cone", (0.46, 0.56), (0.06, 0.07),
                 Coat("main", (Mark("bands", "mark", 0.2, 0.8),)),
                 angle=(10, 60), bend=(0, 30), depth=1, twin="mirror")
            for a in (65, 95, 125)
        ),
    ),
    palettes=(BRICK, SLATE, RUST, OLIVE),
    tilt=(-180, 180),
    gloss=0.25,
)

_FLIPPER = Coat("mark", (Mark("plates", "pale", 1.6, 0.75),))
TURTLE = Creature(
    parts=(
        Part("shell", "", (0, 0), "egg", (1, 1), (0.42, 0.47),
             Coat("main", (Mark("plates", "mark", 1.25, 0.9, bump=-0.05),
                   Mark("rosettes", "accent", 1.25, 0.5), Mark("rim", "mark", 0.9, 0.8))), depth=5),
        Part("head", "shell", (0.94, 0), "egg", (0.34, 0.4), (0.14, 0.16),
             Coat("mark", (Mark("lines", "accent", 1.5, 0.9),)), angle=(-35, 35), depth=3, fused=True),
        Part("eye", "head", (0.62, 0.7), "disc", (0.08, 0.08), (0.04, 0.04), RINGED_EYE,
             depth=6, twin="mirror"),
        Part("fore flipper", "shell", (0.82, 0.75), "petal", (0.62, 0.78), (0.14, 0.17), _FLIPPER,
             angle=(35, 85), bend=(20, 95), depth=2, twin="mirror"),
        Part("hind flipper", "shell", (0.18, 0.75), "petal", (0.34, 0.42), (0.11, 0.13), _FLIPPER,
             angle=(110, 160), bend=(-20, 30), depth=2, twin="mirror"),
        Part("tail", "shell", (0.04, 0), "cone", (0.22, 0.28), (0.06, 0.07), DARK, angle=(165, 195), depth=1),
    ),
    palettes=(OLIVE, MOSS, SAND, SLATE),
    tilt=(-180, 180),
    gloss=0.15,
)

CREATURES: dict[str, Creature] = {
    "beetle": BEETLE,
    "crane": CRANE,
    "fish": FISH,
    "fox": FOX,
    "lizard": LIZARD,
    "moth": MOTH,
    "octopus": OCTOPUS,
    "snail": SNAIL,
    "crab": CRAB,
    "turtle": TURTLE,
}
"""Class name to creature; a demo set of n classes takes the first n."""
# fmt: on
