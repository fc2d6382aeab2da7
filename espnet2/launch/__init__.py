"""Hosts, ports, signals and self-tests of the processes of one run; no model and no data."""
