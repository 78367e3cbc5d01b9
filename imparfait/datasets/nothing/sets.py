"""The sets of pictures that show no digit, by name."""

from imparfait.datasets.nothing import fitted, tested
from imparfait.datasets.nothing.table import Nothing

LIKE = "letters_like_digits"
"""The set without a right answer: it counts neither for nor against a classifier."""

NOTHING: dict[str, Nothing] = {
    "blank": Nothing(tested.blank, "testing", "empty or of one grey, with a sensor's faint noise"),
    "noise": Nothing(tested.noise, "testing", "uniform noise, Gaussian noise and smooth random fields"),
    "letters": Nothing(tested.letters, "testing", "letters that are like no digit, in STIX and CM", tested.FONTS),
    LIKE: Nothing(tested.letters_like_digits, "testing", "letters with a digit's shape, in STIX and CM", tested.FONTS),
    "fashion": Nothing(tested.fashion, "testing", "clothes of Fashion-MNIST's test set", (str(tested.FASHION),)),
    "photographs": Nothing(
        tested.photographs, "testing", "grey pieces of photographs of a temple and a flower", tested.PHOTOGRAPHS
    ),
    "other_noise": Nothing(fitted.other_noise, "fitting", "specks, stripes, mosaics and slow changes of grey"),
    "other_letters": Nothing(
        fitted.other_letters, "fitting", "letters that are like no digit, in DejaVu", fitted.OTHER_FONTS
    ),
    "other_photographs": Nothing(
        fitted.other_photographs, "fitting", "grey pieces of a photographed portrait", fitted.OTHER_PHOTOGRAPHS
    ),
    "blobs": Nothing(fitted.blobs, "fitting", "filled ellipses run together"),
    "signs": Nothing(fitted.signs, "fitting", "letters of other scripts and signs, in DejaVu", fitted.OTHER_FONTS[:1]),
    "silhouettes": Nothing(fitted.silhouettes, "fitting", "one filled shape with a wavy rim"),
    "leaves": Nothing(fitted.leaves, "fitting", "discs and rectangles lying on each other"),
    "scribbles": Nothing(fitted.scribbles, "fitting", "smooth pen strokes through random points"),
}
"""Sets by name; beside them, also for fitting, `scrambled` makes one from digits."""
