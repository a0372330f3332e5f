"""Prints who is where, without peoplestream: `pip install pyzmq msgpack`, then `python subscriber.py ENDPOINT`.

docs/wire.md describes every field. It ends when every stream that it has heard of has ended.
"""

import struct
import sys

import msgpack
import zmq


def decode_mask(mask):
    """The pixels of a mask's window: a list of rows of 0 and 1."""
    runs, value, shift = [], 0, 0
    for character in mask["counts"].encode():
        digit = character - 48
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    height, width = mask["size"]
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError("a mask does not fill its window")
    pixels = [index % 2 for index, run in enumerate(runs) for _ in range(run)]  # down the columns
    return [pixels[row::height] for row in range(height)]


def describe(person):
    """One line."""
    x, y, _ = struct.unpack_from("<3f", person["keypoints"])  # 17 times x, y, score
    mask = "no mask"
    if person["mask"]:
        left, top = person["mask"]["origin"]
        mask = f"mask of {sum(map(sum, decode_mask(person['mask'])))} pixels at {left}, {top}"
    return f"  person {person['id']}: nose at {x:.1f}, {y:.1f}; {mask}"


def main(endpoint):
    """Print frames until the end."""
    socket = zmq.Context().socket(zmq.SUB)  # encrypted: set its curve_serverkey, curve_publickey, curve_secretkey
    for kind in ("info/", "status/", "people/"):
        socket.subscribe(kind)
    socket.connect(endpoint)
    expected, running = {}, set()
    while True:
        topic, body = socket.recv_multipart()
        message = msgpack.unpackb(body)
        if message["v"][0] != 1:
            sys.exit(f"cannot read version {message['v']}")
        kind, stream = topic.decode().split("/")
        if kind == "people":
            running.add(stream)
            lost = max(0, message["seq"] - expected.get(stream, message["seq"]))
            expected[stream] = message["seq"] + 1
            lines = [f"{stream} frame {message['seq']}, {lost} lost before it", *map(describe, message["people"])]
            sys.stdout.write("\n".join(lines) + "\n")
        elif kind == "status" and message["state"] in ("ended", "failed"):
            running.discard(stream)
            if not running:
                return


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555")
