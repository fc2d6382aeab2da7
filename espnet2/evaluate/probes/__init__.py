"""Small classifiers on frozen features: phones, speakers, languages, characters."""
