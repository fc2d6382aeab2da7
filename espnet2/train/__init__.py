"""Loss in, checkpoint out: the one training loop and its parts."""
