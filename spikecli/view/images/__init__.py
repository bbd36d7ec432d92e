"""Pictures, films and pages of event recordings."""
