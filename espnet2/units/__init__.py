"""Features in, k-means units and their statistics out."""
