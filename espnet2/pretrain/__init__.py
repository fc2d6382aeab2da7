"""The run of ssl_train: inputs, start weights, probe, traffic light."""
