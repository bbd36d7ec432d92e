"""Settings: validated once, frozen, saved with every run."""
