"""A plug-in of spikecli, to copy: a neuron part, a network for clouds, and a preset."""
