"""Kernels of our own for CUDA, in Triton. Everything in them has a way of PyTorch beside it, which is the reference."""
