"""What a program will cost on a chip."""
