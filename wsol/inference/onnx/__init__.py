"""A run as one ONNX file: written, described, computed."""
