"""K-means units of a layer, judged against phones, beside their baselines."""
