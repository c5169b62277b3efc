"""Runtimes: what runs a bundle (onnxruntime, OpenVINO or torch)."""
