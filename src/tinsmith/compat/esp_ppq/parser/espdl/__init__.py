"""What esp-ppq's exporter is made of."""
