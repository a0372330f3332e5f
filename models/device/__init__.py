"""Before and after the networks, on the accelerator that runs them: pictures stay there, and only results leave it.

All of it is PyTorch that runs the same on any device; on a processor the tests compare it with the functions on arrays
in `models.detect`, `models.pose` and `models.segment`. Nothing is imported here, so that who wants one module gets no
other.
"""
