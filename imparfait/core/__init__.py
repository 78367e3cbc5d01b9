"""What every other package builds on: errors, types, random numbers, storage, hardware."""
