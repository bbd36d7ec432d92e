"""Pictures, films and pages of clouds and of a network's predictions for them."""
