"""Event recordings: formats, layouts, preparation, frames."""
