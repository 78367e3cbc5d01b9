"""A child process in which an untrusted model file is opened and run."""
