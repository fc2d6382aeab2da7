"""Shards and manifests of others in, data/<set> whose audio stays where it lies out (stage 1)."""
