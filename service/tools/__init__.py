"""What can be run: tools found by reading them, never by importing them."""
