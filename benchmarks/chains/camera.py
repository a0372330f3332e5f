"""A camera: the frames of a video over RTSP, again and again, until its input is closed.

Usage: python camera.py VIDEO FRAMES FPS PORT
"""

import itertools
import sys

import av
import rtsp

video, frames, fps, port = sys.argv[1:]
with av.open(video) as container:
    pictures = [frame.to_ndarray(format="bgr24") for frame in itertools.islice(container.decode(video=0), int(frames))]
with rtsp.Source(f"rtsp://127.0.0.1:{port}/cam", fps=int(fps)) as source:
    for picture in pictures:  # it keeps what it is given, and shows it again and again
        source.put(picture)
    source.wait_encoding_started()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
