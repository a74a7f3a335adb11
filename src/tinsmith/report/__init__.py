"""What came of it, for people: accuracy of a program, tables for the terminal."""
