"""Images and labels: reading, splitting, mixing, and keeping the test sealed."""
