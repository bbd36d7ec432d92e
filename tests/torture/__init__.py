"""What happens to real programs, on purpose: kills, broken downloads, full disks, hostile files. `make torture`."""
