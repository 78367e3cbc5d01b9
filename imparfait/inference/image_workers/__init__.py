"""Image workers: child processes with limits in which untrusted images are decoded, normalised and read."""
