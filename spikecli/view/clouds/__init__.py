"""Pictures, films and pages of clouds, and of what a network makes of them."""
