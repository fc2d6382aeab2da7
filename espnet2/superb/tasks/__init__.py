"""One file per task: the registry."""
