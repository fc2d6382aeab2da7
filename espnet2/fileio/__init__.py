"""Writers and readers of Kaldi tables under the names that programs of ESPnet's recipes import."""
