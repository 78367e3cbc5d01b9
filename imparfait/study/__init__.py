"""The founding study, done again: its networks, mixtures and claims, as lists of cells and four final trainings."""
