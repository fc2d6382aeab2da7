"""One thin entry point per job: arguments in, files out."""
