"""Units as language: how predictable the units of each system are, in bits per second of speech."""
