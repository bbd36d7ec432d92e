"""Point clouds: formats, layouts, preparation, augmentation."""
