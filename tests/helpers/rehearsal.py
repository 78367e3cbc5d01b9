"""A rehearsal of the whole study: every stage, on so few images that its numbers mean nothing."""

from imparfait.study.scales import Scale

REHEARSAL = Scale(
    summary="every stage on few images",
    folds=2, seeds=1, epochs=1,
    trials=2, search_images=120, search_epochs=1, search_folds=2,
    final_epochs=1, follow_up_epochs=1, images=240, final_images=400,
    turns=1, instead={"batch_size": 16, "learning_rate": 1e-3},
)  # fmt: skip
