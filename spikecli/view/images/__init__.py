"""Pictures of images, plain or with what a network makes of them."""
