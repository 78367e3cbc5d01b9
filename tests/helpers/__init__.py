"""What several test files draw, write or start."""
