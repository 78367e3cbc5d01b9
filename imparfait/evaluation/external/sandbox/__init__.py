"""Sandbox: a child process with restricted rights, in which an untrusted model file is loaded and run."""
