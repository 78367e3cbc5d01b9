"""The sets of images that show no digit, by name."""

from imparfait.data.ood import held_out, synthetic
from imparfait.data.ood.base import OodSet

LIKE = "letters_like_digits"
"""The set without a right answer: it counts neither for nor against a classifier."""

OOD_SETS: dict[str, OodSet] = {
    "blank": OodSet(held_out.blank, "testing", "empty or of one grey, with a sensor's faint noise"),
    "noise": OodSet(held_out.noise, "testing", "uniform noise, Gaussian noise and smooth random fields"),
    "letters": OodSet(held_out.letters, "testing", "letters that are like no digit, in STIX and CM", held_out.FONTS),
    LIKE: OodSet(
        held_out.letters_like_digits, "testing", "letters with a digit's shape, in STIX and CM", held_out.FONTS
    ),
    "fashion": OodSet(held_out.fashion, "testing", "clothes of Fashion-MNIST's test set", (str(held_out.FASHION),)),
    "photographs": OodSet(
        held_out.photographs, "testing", "grey pieces of photographs of a temple and a flower", held_out.PHOTOGRAPHS
    ),
    "other_noise": OodSet(synthetic.other_noise, "fitting", "specks, stripes, mosaics and slow changes of grey"),
    "other_letters": OodSet(
        synthetic.other_letters, "fitting", "letters that are like no digit, in DejaVu", synthetic.OTHER_FONTS
    ),
    "other_photographs": OodSet(
        synthetic.other_photographs, "fitting", "grey pieces of a photographed portrait", synthetic.OTHER_PHOTOGRAPHS
    ),
    "blobs": OodSet(synthetic.blobs, "fitting", "filled ellipses run together"),
    "signs": OodSet(
        synthetic.signs, "fitting", "letters of other scripts and signs, in DejaVu", synthetic.OTHER_FONTS[:1]
    ),
    "silhouettes": OodSet(synthetic.silhouettes, "fitting", "one filled shape with a wavy rim"),
    "leaves": OodSet(synthetic.leaves, "fitting", "discs and rectangles lying on each other"),
    "scribbles": OodSet(synthetic.scribbles, "fitting", "smooth pen strokes through random points"),
}
"""Sets by name; beside them, also for fitting, `scrambled` makes one from digits."""
