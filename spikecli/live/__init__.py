"""Streams of events: sources, windows, and a network that answers after each window with its membranes carried on."""
