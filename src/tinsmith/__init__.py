"""tinsmith: trained networks shaped to fit Espressif chips, and run on the PC bit for bit as the chip would."""
