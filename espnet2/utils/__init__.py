"""Small helpers without a model: files, Kaldi tables, configs, errors."""
