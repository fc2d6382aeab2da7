"""An experiment and the JSON of its evaluation in, pages for a browser and rows of RESULTS.md out."""
