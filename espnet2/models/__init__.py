"""What a user calls a model (folder, archive, hub, foreign file), located and loaded."""
