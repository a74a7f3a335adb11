"""The names of the quantization toolkit of ESP-DL v1: modules `optimizer`, `calibrator`, `evaluator`.

A script of that toolkit runs with its three import lines changed::

    from tinsmith.compat.v1.optimizer import *
    from tinsmith.compat.v1.calibrator import *
    from tinsmith.compat.v1.evaluator import *

The numbers are those of today's chips' runtime (ESP-DL 3), from the exact simulation. What differs:

* The table is JSON, whatever its suffix. A pickle in its place is refused without being opened as one.
* Exponents are chosen for each kind of chip by its own rules; the table holds all of them.
* ESP32-S3 and the chips without vector unit have one exponent for all weights of a layer: ``per-channel`` says so
  there and means ``per-tensor``.
* `export_coefficient_to_cpp` writes the `.espdl` model that ESP-DL 3 loads, and the same as a C++ array. The layer
  classes of ESP-DL v1 and coefficients for them exist no more.
* The optimized model is the float network in the form in which it is quantized; node names are the model's own.
"""
