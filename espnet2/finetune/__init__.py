"""A trained model and transcripts in, a recogniser and the tuned model out."""
