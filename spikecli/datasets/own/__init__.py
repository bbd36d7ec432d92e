"""A user's own data sets: find the samples, split them, report and prepare them."""
