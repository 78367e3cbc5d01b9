"""The founding study, repeated: its networks, augmentations and claims as jobs, searches and final trainings."""
