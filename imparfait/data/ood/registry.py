"""The sets of pictures that show no digit, by name."""

from imparfait.data.ood import held_out, synthetic
from imparfait.data.ood.base import Nothing

LIKE = "letters_like_digits"
"""The set without a right answer: it counts neither for nor against a classifier."""

NOTHING: dict[str, Nothing] = {
    "blank": Nothing(held_out.blank, "testing", "empty or of one grey, with a sensor's faint noise"),
    "noise": Nothing(held_out.noise, "testing", "uniform noise, Gaussian noise and smooth random fields"),
    "letters": Nothing(held_out.letters, "testing", "letters that are like no digit, in STIX and CM", held_out.FONTS),
    LIKE: Nothing(
        held_out.letters_like_digits, "testing", "letters with a digit's shape, in STIX and CM", held_out.FONTS
    ),
    "fashion": Nothing(held_out.fashion, "testing", "clothes of Fashion-MNIST's test set", (str(held_out.FASHION),)),
    "photographs": Nothing(
        held_out.photographs, "testing", "grey pieces of photographs of a temple and a flower", held_out.PHOTOGRAPHS
    ),
    "other_noise": Nothing(synthetic.other_noise, "fitting", "specks, stripes, mosaics and slow changes of grey"),
    "other_letters": Nothing(
        synthetic.other_letters, "fitting", "letters that are like no digit, in DejaVu", synthetic.OTHER_FONTS
    ),
    "other_photographs": Nothing(
        synthetic.other_photographs, "fitting", "grey pieces of a photographed portrait", synthetic.OTHER_PHOTOGRAPHS
    ),
    "blobs": Nothing(synthetic.blobs, "fitting", "filled ellipses run together"),
    "signs": Nothing(
        synthetic.signs, "fitting", "letters of other scripts and signs, in DejaVu", synthetic.OTHER_FONTS[:1]
    ),
    "silhouettes": Nothing(synthetic.silhouettes, "fitting", "one filled shape with a wavy rim"),
    "leaves": Nothing(synthetic.leaves, "fitting", "discs and rectangles lying on each other"),
    "scribbles": Nothing(synthetic.scribbles, "fitting", "smooth pen strokes through random points"),
}
"""Sets by name; beside them, also for fitting, `scrambled` makes one from digits."""
