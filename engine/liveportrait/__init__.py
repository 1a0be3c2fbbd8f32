"""LivePortrait (arXiv 2407.03168) around its networks: cropping, motion, retargeting, paste-back.

numpy and OpenCV only; the networks come in through small callables and the protocols of model_set.
"""
