"""Cutting people out: BlazePose, MobileSAM, EISeg, Pose2Seg, FCN-8 and contours, and what is done before and after."""
