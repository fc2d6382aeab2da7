"""Units as language: a small decoder on discrete units, trained by the engine, and what it is scored on."""
