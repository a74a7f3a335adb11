"""The compiled form: a Program as one ONNX graph whose float arithmetic is exact (DESIGN, "Exact and fast")."""
