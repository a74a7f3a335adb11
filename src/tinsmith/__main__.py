"""``python -m tinsmith``."""

from tinsmith.cli import main

main(prog_name="tinsmith")
