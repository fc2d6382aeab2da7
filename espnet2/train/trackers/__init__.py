"""Figures, pictures and sounds of a run in; TensorBoard, or a tool of others that shows runs, out."""
