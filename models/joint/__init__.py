"""Finding persons and, in the same network, their keypoints or masks: RTMO, RTMDet-Ins and PersonLab."""
