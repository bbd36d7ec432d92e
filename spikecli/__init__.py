"""Spiking neural networks for 3-D point clouds and event cameras, from the command line."""

__version__ = "0.1.0"
