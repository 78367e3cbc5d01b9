"""Models that imparfait did not write: opened in a sandbox, and called as they expect to be."""
