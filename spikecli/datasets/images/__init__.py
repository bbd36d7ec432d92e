"""Pictures: data sets and their preparation."""
