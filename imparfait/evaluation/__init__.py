"""What the scores of a whole suite say: of one model, of several, and of how far its confidence can be trusted."""
