"""A trained model for others: packed, described, converted, loaded in three lines."""
