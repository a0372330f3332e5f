"""Finding keypoints: RTMPose, SimpleBaseline, hourglasses and FCN-8, and what is done before and after them."""
