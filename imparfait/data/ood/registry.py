"""The out-of-distribution sets by name."""

from imparfait.data.ood import held_out, synthetic
from imparfait.data.ood.base import OodSet

LIKE = "letters_like_digits"
"""Letters shaped like digits: no prediction is wrong, so this set counts neither for nor against a classifier."""

OOD_SETS: dict[str, OodSet] = {
    "blank": OodSet(held_out.blank, "testing", "blank: uniform grey, with faint sensor noise"),
    "noise": OodSet(held_out.noise, "testing", "uniform noise, Gaussian noise and smooth random fields"),
    "letters": OodSet(held_out.letters, "testing", "letters unlike any digit, in STIX and CM", held_out.FONTS),
    LIKE: OodSet(held_out.letters_like_digits, "testing", "letters shaped like digits, in STIX and CM", held_out.FONTS),
    "fashion": OodSet(
        held_out.fashion,
        "testing",
        "clothes from Fashion-MNIST's test set",
        (str(held_out.FASHION),),
        data=held_out.FASHION.parent.name,
    ),
    "photographs": OodSet(
        held_out.photographs, "testing", "grey crops of photographs of a temple and a flower", held_out.PHOTOGRAPHS
    ),
    "other_noise": OodSet(synthetic.other_noise, "fitting", "specks, stripes, mosaics and gradients"),
    "other_letters": OodSet(
        synthetic.other_letters, "fitting", "letters unlike any digit, in DejaVu", synthetic.OTHER_FONTS
    ),
    "other_photographs": OodSet(
        synthetic.other_photographs, "fitting", "grey crops of a portrait photograph", synthetic.OTHER_PHOTOGRAPHS
    ),
    "blobs": OodSet(synthetic.blobs, "fitting", "merged filled ellipses"),
    "signs": OodSet(
        synthetic.signs, "fitting", "letters of other scripts and symbols, in DejaVu", synthetic.OTHER_FONTS[:1]
    ),
    "symbols": OodSet(
        synthetic.symbols, "fitting", "+ ? # and other signs beside digits, in DejaVu", synthetic.OTHER_FONTS
    ),
    "silhouettes": OodSet(synthetic.silhouettes, "fitting", "one filled shape with a wavy outline"),
    "leaves": OodSet(synthetic.leaves, "fitting", "overlapping discs and rectangles (dead leaves)"),
    "scribbles": OodSet(synthetic.scribbles, "fitting", "smooth pen strokes through random points"),
}
"""For fitting there is also `scrambled`, which is made from digits."""
