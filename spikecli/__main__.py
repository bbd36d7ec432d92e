"""`python -m spikecli`: the same command line, for torchrun and for machines without the script on their path."""

from spikecli.cli import entry

if __name__ == "__main__":
    entry()
