"""The FlatBuffers schema of Espressif's model format and the code that `flatc` generates from it."""
