"""What performers do, over time: motion templates, opening ratios, head pose, smoothing.

Both renderers use it; numpy and OpenCV only. Pictures are read elsewhere.
"""
