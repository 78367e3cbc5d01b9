"""HTML reports of runs, evaluations, comparisons and searches, with their figures, tables and sentences."""
