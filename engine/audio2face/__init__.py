"""NVIDIA's Audio2Face-3D: from a sound to weights of ARKit's face shapes, with onnxruntime.

The models are downloaded by who wants them, see engine/weight_table.py and docs/speech.md.
"""
