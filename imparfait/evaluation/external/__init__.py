"""External models: untrusted model files and functions, run in a sandbox and adapted to our input and output."""
