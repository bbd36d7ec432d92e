"""The machine: devices, processes, worker pools, torchvision."""
