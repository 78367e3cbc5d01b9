"""The founding study, done again: its networks, augmentations and claims, as lists of jobs and four final trainings."""
